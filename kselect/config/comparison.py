"""What `kselect compare` compares, and how it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kselect.config.selection import is_number
from kselect.config.validation import Config, require, setting

TEACHER, CONSTANT = "teacher", "constant prediction"
OUTPUT_SUFFIXES = (".md", ".csv", ".json", ".txt")


@dataclass(frozen=True)
class CompareConfig(Config):
    """Comparison: which agents on which tasks, and the report."""

    agents: list[str] = field(default_factory=lambda: ["fine-tune", "vanilla-kd", "all"])
    """Agents to compare: names, policy folders, or weights such as gold:1,logits:0.5. LABEL=AGENT sets a label, which
    weights need if they follow other weights."""
    baseline: str | None = None
    """Label of the agent that the others are compared with, under the same seed; the first agent by default."""
    tasks: list[str] = field(default_factory=list)
    """Several tasks, in place of task: names of built-in tasks, or YAML files with the settings of a task, such as
    mrpc,configs/rte.yaml. Options win over these files; {task} in teacher becomes the name of each task."""
    format: Literal["table", "markdown", "csv", "json"] = setting(
        "table", affects_result=False, may_differ_on_resume=True
    )
    """Format of the report on standard output, and of output where its suffix says nothing else."""
    output: str | None = setting(None, affects_result=False, may_differ_on_resume=True)
    """Also write the report to this file: .md, .csv, .json or .txt."""
    plot: str | None = setting(None, affects_result=False, may_differ_on_resume=True)
    """Plot the differences with their 95 % intervals to this file; needs matplotlib."""

    def validate(self) -> None:
        """Refuse no agents, equal labels, and a baseline that is not among them."""
        object.__setattr__(self, "agents", _join_weights(self.agents))
        require(len(self.agents) > 0, "agents is empty: give two or more, such as fine-tune,vanilla-kd.", "agents")
        labels = list(self.labelled)
        twice = next((spec for spec in self.agents if split_label(spec)[0] in (TEACHER, CONSTANT)), None)
        require(twice is None, f"agents has the label {twice}, which is a row of its own: give another.", "agents")
        require(len(labels) == len(self.agents), f"agents has a label twice: {', '.join(self.agents)}.", "agents")
        known = self.baseline is None or self.baseline in labels
        require(known, f"baseline is '{self.baseline}': give one of {', '.join(labels)}.", "baseline")
        known = self.output is None or self.output.endswith(OUTPUT_SUFFIXES)
        require(known, f"output is {self.output}: give a file that ends in {', '.join(OUTPUT_SUFFIXES)}.", "output")

    @property
    def labelled(self) -> dict[str, str]:
        """The agents by label."""
        return dict(map(split_label, self.agents))

    @property
    def baseline_label(self) -> str:
        """The label of the baseline."""
        return self.baseline or split_label(self.agents[0])[0]


def split_label(text: str) -> tuple[str, str]:
    """Return label and agent of LABEL=AGENT; the agent is its own label without one.

    >>> split_label("soft=gold:1,logits:0.5"), split_label("all")
    (('soft', 'gold:1,logits:0.5'), ('all', 'all'))
    """
    label, _, agent = text.rpartition("=")
    return label or agent, agent


def _join_weights(parts: list[str]) -> list[str]:
    """Return agents whose weights were separated by the comma that separates agents, too.

    >>> _join_weights(["all", "soft=gold:1", "logits:0.5", "fine-tune"])
    ['all', 'soft=gold:1,logits:0.5', 'fine-tune']
    """
    agents: list[str] = []
    for part in parts:
        kind, _, weight = part.partition(":")
        further = is_number(weight) and "=" not in kind
        if further and agents and _is_weights(agents[-1]):
            agents[-1] += f",{part}"
        else:
            agents.append(part)
    return agents


def _is_weights(text: str) -> bool:
    weights = split_label(text)[1].split(",")
    return all(is_number(weight.partition(":")[2]) for weight in weights)
