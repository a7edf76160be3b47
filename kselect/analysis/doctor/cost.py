"""How long a run would take."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from kselect.config import TrainingConfig
from kselect.distillation.distiller import Distiller

TIMED = 5  # training steps under each selection
SELECTIONS = {"gold": (1, 0), "gold + logits": (1, 1)}
KNOWLEDGE = ["gold", "logits"]
EPOCHS = float(TIMED + 1)  # of the sample, which so has steps enough, however small it is


@dataclass(frozen=True)
class Cost:
    """Wall time in seconds, from a few real training steps on a sample.

    steps: of the run. step_seconds: of a student's step, by selection, without the teacher. batches: of train.
    teacher_batch_seconds: of the teacher, for the logits of one. kept: whether these go into the cache.
    """

    steps: int
    step_seconds: dict[str, float]
    batches: int
    teacher_batch_seconds: float
    kept: bool

    @property
    def teacher_seconds(self) -> float:
        """Of all that the teacher does in a run: one pass over train where its logits are kept, else one a step."""
        return self.teacher_batch_seconds * (self.batches if self.kept else self.steps)

    def run_seconds(self, selection: str) -> float:
        """Return how long a run under a selection takes, the teacher's time included where it is read."""
        reads = "logits" in selection
        return self.steps * self.step_seconds[selection] + (self.teacher_seconds if reads else 0.0)


def measure_cost(distiller: Distiller, training: TrainingConfig, examples: int, kept: bool) -> Cost:
    """Take a few steps, the same batches under each selection, and reckon up the run from them.

    Args:
        distiller: of a sample of train, with gold and logits on offer and the teacher live; its student is trained.
        training: of the run itself.
        examples: how many train has.
        kept: whether the teacher's logits go into the cache; else it runs in each step that reads them.
    """
    batches = -(-examples // training.batch_size)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in SELECTIONS}
    for name, selection in SELECTIONS.items():
        distiller.reset(0)
        for _ in range(1 + TIMED):  # the first step warms up
            distiller.account.settle()
            distiller.advance(selection, 1)
            spent[name].append(distiller.account.settle())
    # Medians, which do not mind a step that other work on the machine held up.
    seconds = {name: median(step["student"] for step in steps[1:]) for name, steps in spent.items()}
    teacher = median(step["teacher"] for step in spent["gold + logits"][1:])
    return Cost(training.total_steps(batches), seconds, batches, teacher, kept)
