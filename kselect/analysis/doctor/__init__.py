"""The doctor: looks at a teacher and a task before any training, and advises."""

from kselect.analysis.doctor.advice import Advice, Claim, advise
from kselect.analysis.doctor.diagnosis import Diagnosis, diagnose
from kselect.analysis.doctor.examination import Examination, examine
from kselect.analysis.doctor.outcomes import read_outcomes
from kselect.analysis.doctor.verdicts import Outcomes, Verdict, judge, tally
from kselect.analysis.predictions import Sample

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
