"""Which runs `kselect collect` computes, and where it keeps them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kselect.config.validation import Config, require


@dataclass(frozen=True)
class CollectConfig(Config):
    """Collection: a suite of conditions, and the pool of its runs."""

    suite: str
    """YAML file of the suite: its tasks, conditions and selections (see docs/collecting.md)."""
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    """Folder or hub id of the pretrained encoder that every teacher is fine-tuned from."""
    pool: str = "runs/pool"
    """Folder of the runs. Runs that it holds are not computed again."""
    ledger: str | None = None
    """File of the finished runs; by default runs.jsonl in the pool. One that is kept elsewhere outlives the pool."""
    conditions: list[str] = field(default_factory=lambda: ["*"])
    """Conditions to run, names or patterns such as sst2-*; all by default."""
    selections: list[str] = field(default_factory=lambda: ["*"])
    """Selections to run, names or patterns; all by default, none with []."""
    agents: list[str] = field(default_factory=list)
    """Agents of the suite to run for comparison, names or patterns; none by default."""
    ablate: bool = False
    """In place of the suite's selections, run those that show which kinds of knowledge are needed and when: everything,
    each kind alone, everything without it, and without it in each quarter of a run; and print what each kind adds."""
    plot: str | None = None
    """With ablate, draw a heat map of what each kind adds in each quarter to this file; needs matplotlib."""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    """Random seeds; each draws the data anew, and trains a teacher on them."""
    minari: str | None = None
    """Also write the finished runs of the pool as Minari datasets whose names begin with this, such as selecting; a
    pool that has changed becomes a new version. Needs pip install 'kselect[collect]'."""

    def validate(self) -> None:
        """Refuse an empty list, equal seeds, numbers out of range and a name that no dataset can have."""
        for name in ("conditions", "seeds"):
            require(len(getattr(self, name)) > 0, f"{name} is empty: give at least one.", name)
        either = bool(self.selections or self.agents)
        require(either, "Neither selections nor agents are given: give at least one.", "selections")
        require(len(set(self.seeds)) == len(self.seeds), "seeds names one twice.", "seeds")
        require(all(seed >= 0 for seed in self.seeds), "seeds has a negative number: give 0 or more.", "seeds")
        require(self.plot is None or self.ablate, "plot is of ablate: give ablate, too, or leave it out.", "plot")
        if self.minari is not None:
            named = re.fullmatch(r"\w[-\w]+(/\w[-\w]+)*", self.minari, re.ASCII) is not None
            self.require("minari", named, "give a name of letters, digits, - and _, such as selecting or kselect/texts")
