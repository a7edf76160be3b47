"""The doctor: looks at a teacher and a task before any training, and advises."""

from kselect.insight.doctor.advice import Advice, Claim
from kselect.insight.doctor.advising import advise
from kselect.insight.doctor.diagnosis import Diagnosis, diagnose
from kselect.insight.doctor.examination import Examination, examine
from kselect.insight.doctor.judging import Outcomes, Verdict, judge, tally
from kselect.insight.doctor.outcomes import read_outcomes
from kselect.insight.sample import Sample

__all__ = [
    "Advice",
    "Claim",
    "Diagnosis",
    "Examination",
    "Outcomes",
    "Sample",
    "Verdict",
    "advise",
    "diagnose",
    "examine",
    "judge",
    "read_outcomes",
    "tally",
]
