"""A model or a policy on the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.validation import Config, require


@dataclass(frozen=True)
class PushConfig(Config):
    """Push: what is uploaded, and where to."""

    model: str
    """Folder of a run, or of a student, a teacher or a policy."""
    repo_id: str
    """Repository on the Hub, such as user/student; it is made where it does not exist."""
    private: bool = False
    """Make the repository private, if it does not exist."""
    revision: str | None = None
    """Branch to commit to; main by default."""
    commit_message: str | None = None
    """Message of the commit."""

    def validate(self) -> None:
        """Refuse no folder, and what is no name of a repository."""
        require(bool(self.model), "model is empty: give the folder of a run.", "model")
        parts = self.repo_id.split("/")
        require(
            len(parts) == 2 and all(parts) and not any(part.isspace() for part in parts),
            f"repo_id is '{self.repo_id}': give user/name.",
            "repo_id",
        )
