"""All advice on an examination."""

from __future__ import annotations

from kselect.insight.doctor.advice import Advice
from kselect.insight.doctor.examination import Examination
from kselect.insight.doctor.run_advice import of_cost, of_length, of_obstacle, of_pair
from kselect.insight.doctor.teacher_advice import HELPS, is_hopeless, of_teacher


def advise(found: Examination) -> list[Advice]:
    """Return all advice on a teacher, a student and a task; on the teacher first, and no more if it is a bad one."""
    of_its_own = of_teacher(found.diagnosis)
    if is_hopeless(found.diagnosis):
        return of_its_own
    helps = any(one.claim == HELPS for one in of_its_own)
    return [
        *of_its_own,
        *([of_obstacle(found.obstacle)] if found.obstacle else of_pair(found.pair, helps)),
        *of_length(found.truncated, found.max_length),
        *(of_cost(found.cost) if found.cost else []),
    ]
