"""Show what a selection policy does, and why.

Of a run of `distill` or `train-policy`: what it selected in each quarter, how that differs from `all` and from
chance, returns and losses, and the decisions that changed the selection. Of a policy: what it prefers at typical
moments of a run, or chooses for runs of different kinds. Of a comparison: what each of its agents selected, over the
seeds.

Examples:
  kselect inspect runs/student
  kselect inspect runs/policy --html report.html
  kselect inspect runs/policy/policy
  kselect inspect auto
  kselect inspect runs/comparison
"""

from __future__ import annotations

from pathlib import Path

from kselect import io
from kselect.agents.agent import Agent
from kselect.agents.registry import load_agent
from kselect.analysis.inspection.page import page
from kselect.analysis.inspection.policy import report_of_policy
from kselect.analysis.inspection.report import Report
from kselect.analysis.inspection.run import report_of_run
from kselect.analysis.inspection.study import report_of_study
from kselect.cli.console import print_section
from kselect.config import InspectSettings
from kselect.config.yaml_file import read
from kselect.runs.artifacts import find_policy
from kselect.runs.history import RunHistory

LONGEST = 20
"""Rows of a table on the terminal; a page has all."""


def run(settings: InspectSettings, found: object) -> None:
    """Print the report, and write it to a page if asked; `found` is what the folder holds."""
    config, folder = settings.inspection, Path(settings.inspection.folder)
    if isinstance(found, RunHistory):
        known = read(str(folder / "config.yaml"))
        report = report_of_run(found, known, policy_of(found, str(known.get("agent"))))
    elif isinstance(found, dict):
        report = report_of_study(folder, found)
    else:
        assert isinstance(found, Path)
        report = report_of_policy(found, load_agent(found))
    print_report(report)
    if config.html is not None:
        io.write_text(Path(config.html), page(report))
        print(f"\npage: {config.html}")


def policy_of(history: RunHistory, agent: str) -> Agent | None:
    """Return the policy that a run has learned or followed, if it is still there and weighs what was on offer."""
    folder = find_policy(str(history.path)) or find_policy(agent)
    if folder is None:
        return None
    policy = load_agent(folder)
    return policy if policy.names == history.names else None


def print_report(report: Report) -> None:
    """Print the tables of a report."""
    print(report.title)
    for section in report.sections:
        print()
        print_section(section, LONGEST)
