"""Upload a student, a teacher or a policy to the Hugging Face Hub, with its card.

Nothing else that kselect does uploads anything. The token is that of `hf auth login`, or of the environment variable
HF_TOKEN.

Examples:
  kselect push runs/student --repo_id me/student --private
  kselect push runs/policy --repo_id me/policy
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from kselect.agents.registry import load_agent
from kselect.config import PushSettings
from kselect.hub import model_card, push_folder
from kselect.runs.artifacts import find_model, find_policy

CARD = "README.md"
LOADED = re.compile(r'kselect\.load\(("(?:[^"\\]|\\.)*")\)')
"""Where a card says which folder its model is loaded from."""


def run(settings: PushSettings, data: None) -> str:
    """Upload the files of a model or a policy as one commit, and return its address."""
    config = settings.push
    chosen = {"revision": config.revision, "commit_message": config.commit_message}
    options: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    options |= {"private": True} if config.private else {}
    folder, policy = Path(find_model(config.model)), find_policy(config.model)
    if policy is not None and str(folder) == config.model:
        address = load_agent(policy).push_to_hub(config.repo_id, **options)
    else:
        address = push_folder(lambda to: _copy(folder, to, config.repo_id), config.repo_id, _plain_card(), **options)
    print(f"pushed: {address}")
    return address


def _copy(folder: Path, to: Path, repo_id: str) -> None:
    """Copy the files of a model; its card then loads it from the Hub rather than from the run."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    card = to / CARD
    if card.exists():
        text = card.read_text(encoding="utf-8")
        place = LOADED.search(text)
        card.write_text(text.replace(place[1], json.dumps(repo_id)) if place else text, encoding="utf-8")


def _plain_card() -> str:
    text = "A classifier, distilled or fine-tuned with kselect."
    return model_card("Classifier", text, [], library_name="transformers")
