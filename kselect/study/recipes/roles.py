"""Who may learn a policy, and who may decide in a distillation."""

from __future__ import annotations

from pathlib import Path

from agents.registry import LEARNERS, ONLINE
from kselect.errors import UserError, unknown
from kselect.study.recipes.published import NAMED


def check_learner(name: str) -> None:
    """Refuse an agent that no policy can be learned by.

    Raises:
        UserError: it is unknown, has nothing to learn, or learns in a distillation only.
    """
    if name in ONLINE:
        raise UserError(f"{name} learns in the run that distils: to train a policy, give --agent {ONLINE[name]}.")
    if name not in NAMED:
        raise unknown("agent", name, LEARNERS)
    if name not in LEARNERS:
        raise UserError(f"{name} has nothing to learn: train one of {', '.join(LEARNERS)}.")


def check_decider(name: str) -> None:
    """Refuse an agent that cannot decide in a distillation; the folder of a policy can.

    Raises:
        UserError: it is unknown, or would need training first.
    """
    if name in LEARNERS:
        raise UserError(
            f"{name} has no policy yet: give the folder of one that `kselect train-policy` made, or --agent online."
        )
    if name not in NAMED and name not in ONLINE and not Path(name).is_dir():
        raise unknown("agent or policy folder", name, [*NAMED, *ONLINE])
