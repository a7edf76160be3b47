"""What becomes a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from kselect.config.checks import require
from kselect.config.heads import HeadName


@dataclass
class EncoderConfig:
    """Model: the encoder that becomes a teacher."""

    encoder: str | None = None
    """Folder or hub id of a pretrained encoder to fine-tune; without it, a small one from scratch, for generated tasks
    (synthetic-...) only."""
    head: HeadName | None = None
    """What answers for words: tags by the first three, trees by the others; by default tagger, or parser."""
    hidden_size: int = 128
    """Width of an encoder from scratch."""
    encoder_layers: int = 4
    """Layers of an encoder from scratch."""
    heads: int = 4
    """Attention heads of an encoder from scratch."""

    def __post_init__(self) -> None:
        for setting in ("hidden_size", "encoder_layers", "heads"):
            value = getattr(self, setting)
            require(
                self.encoder is None or value == getattr(EncoderConfig, setting),
                f"{setting} is {value}, but {self.encoder} is the encoder as it is: leave it out.",
            )
        require(self.encoder_layers > 0, f"encoder_layers is {self.encoder_layers}: give a positive number.")
        require(
            self.heads > 0 and self.hidden_size > 0 and self.hidden_size % self.heads == 0,
            f"hidden_size is {self.hidden_size}: give a positive multiple of heads ({self.heads}).",
        )
