"""The runs of a pool as Minari datasets, Gymnasium's format for offline reinforcement learning."""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

import kselect
from kselect.collection.table import Run
from kselect.envs.observation import LIMIT
from kselect.errors import KselectError, first_line

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer

ENVIRONMENT = "kselect/Distillation-v0"
OBSERVED = ("context", "knowledge")
FORMAT = "parquet"  # compressed, and read by pyarrow, which kselect needs anyhow
RUNS = "kselect_runs"
"""Entry of a dataset's metadata: a digest of its runs."""
ROWS = "kselect_rows"
"""Entry of a dataset's metadata: what an action weights, in its order."""


def write_datasets(runs: Sequence[Run], pool: Path, name: str) -> dict[str, int]:
    """Write the runs to Minari's folder of datasets, each as an episode.

    Runs that weight the same rows, under the same settings of knowledge, have the same spaces, and share a dataset:
    `name/N-rows-v0`, where N is their number. A dataset whose runs are others than those of its latest version is
    written as a new version.

    Args:
        runs: finished runs whose arrays are in the pool.
        pool: folder of the pool.
        name: what the names of all of these datasets begin with.

    Returns:
        The number of episodes by dataset.

    Raises:
        ImportError: Minari is not installed; the extra `collect` has it.
        KselectError: There are no runs, or the arrays of one are missing or not its own.
    """
    import minari  # an extra

    if not runs:
        raise KselectError("No run has finished, so there is no episode to write: collect some.", setting="minari")
    written = {}
    for stem, group in _by_spaces(runs, name):
        dataset, is_there = _version(stem, _digest(group))
        if not is_there:
            episodes = [_episode(run, pool) for run in group]
            _check_sizes(group, episodes)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # author and e-mail are for its publisher to give
                made = minari.create_dataset_from_buffers(
                    dataset,
                    episodes,
                    env=_environment(group[0], episodes[0].observations),
                    algorithm_name="fixed and two-stage selections",
                    description=_description(group[0]),
                    requirements=[f"kselect=={kselect.__version__}"],
                    data_format=FORMAT,
                )
            made.storage.update_episode_metadata([_metadata(run) for run in group])
            made.storage.update_metadata({ROWS: list(group[0].rows), RUNS: _digest(group)})  # last: it is whole
        written[dataset] = len(group)
    return written


def _by_spaces(runs: Sequence[Run], name: str) -> Iterator[tuple[str, list[Run]]]:
    """Yield the runs that share their spaces, with the name of their dataset but for its version."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.rows, run.knowledge], sort_keys=True), []).append(run)
    taken: dict[int, int] = {}
    for group in groups.values():
        size = len(group[0].rows)
        taken[size] = taken.get(size, 0) + 1
        yield f"{name}/{size}-rows" + (f"-{taken[size]}" if taken[size] > 1 else ""), group


def _version(stem: str, digest: str) -> tuple[str, bool]:
    """Return the name of the dataset to write, or of the latest version if it holds the same runs, and whether so."""
    from minari.storage.datasets_root_dir import get_dataset_path

    latest, version = None, 0
    while (path := get_dataset_path(f"{stem}-v{version}")).exists():
        latest, version = path, version + 1
    if latest is not None and (kept := latest / "data" / "metadata.json").is_file():
        try:
            metadata = json.loads(kept.read_text())
        except ValueError:
            metadata = {}  # its writing was stopped
        if isinstance(metadata, dict) and metadata.get(RUNS) == digest:
            return f"{stem}-v{version - 1}", True
    return f"{stem}-v{version}", False


def _digest(runs: Sequence[Run]) -> str:
    """Return what differs wherever any of the runs does; seconds differ when one is computed again."""
    contents = [[run.condition, run.seed, run.selection, run.seconds, run.marks] for run in runs]
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return what an environment showed in a run and what was selected, `[decisions, ...]` by name."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in (*OBSERVED, "weights", "reward", "step")}
    except Exception as error:  # the parsers of NumPy and of zip files raise errors of many kinds
        raise KselectError(
            f"{path} has no arrays of a run ({first_line(error)}): remove its line from the ledger."
        ) from None


def _episode(run: Run, pool: Path) -> EpisodeBuffer:
    from minari.data_collector import EpisodeBuffer

    path = run.arrays(pool)
    arrays = read_arrays(path)
    decisions = len(arrays["reward"])
    if arrays["weights"].shape != (decisions, len(run.rows)) or len(arrays["context"]) != decisions + 1:
        raise KselectError(f"{path} is not of {run.selection} as the ledger has it: remove its line from the ledger.")
    last = np.arange(decisions) == decisions - 1
    labels = {
        "condition": run.condition,
        "seed": run.seed,
        "selection": run.selection,
        "stratum": run.stratum,
        "task": run.task,
        **{f"final_{split}_score": run.score(1.0, split) for split in ("reward", "dev")},
    }
    return EpisodeBuffer(
        seed=run.seed,
        observations={name: arrays[name] for name in OBSERVED},
        actions=arrays["weights"],
        rewards=arrays["reward"],
        terminations=last,
        truncations=np.zeros(decisions, dtype=bool),
        # One entry for each observation, as Minari keeps infos; lists, since its decoder fails on arrays of one axis.
        infos={
            "step": [0, *arrays["step"].tolist()],
            **{name: [value] * (decisions + 1) for name, value in labels.items()},
        },
    )


def _check_sizes(runs: Sequence[Run], episodes: Sequence[EpisodeBuffer]) -> None:
    """Refuse observations of several sizes, as several versions of kselect make them."""
    first, *others = [{name: values.shape[1:] for name, values in one.observations.items()} for one in episodes]
    for run, sizes in zip(runs[1:], others, strict=True):
        if sizes != first:
            raise KselectError(
                f"Observations in {run.condition} under seed {run.seed} ({run.selection}) have another size than those "
                f"in {runs[0].condition} under seed {runs[0].seed} ({runs[0].selection}): collect one of them again."
            )


def _metadata(run: Run) -> dict[str, Any]:
    """Return what an episode's metadata has of its run, for choosing episodes."""
    return {
        "condition": run.condition,
        "task": run.task,
        "stratum": run.stratum,
        "selection": run.selection,
        "stages": list(run.stages),
        "marks": {str(mark): metrics for mark, metrics in run.marks.items()},
        "teacher": run.teacher,
    }


def _environment(run: Run, observations: Mapping[str, NDArray[np.float32]]) -> gymnasium.Env[Any, Any]:
    """Return an environment that has spaces and a spec alone.

    The spec lacks the task, the teacher and the student, which differ by run, and are given to make it again.
    """
    env: gymnasium.Env[Any, Any] = gymnasium.Env()
    env.spec = copy.deepcopy(gymnasium.spec(ENVIRONMENT))
    env.spec.kwargs |= {"actions": "soft", "observe_facts": True, **run.knowledge}
    env.observation_space = spaces.Dict(
        {name: spaces.Box(-LIMIT, LIMIT, values.shape[1:], np.float32) for name, values in observations.items()}
    )
    env.action_space = spaces.Box(0.0, 1.0, (len(run.rows),), np.float32)
    return env


def _description(run: Run) -> str:
    return (
        "Students distilled under many conditions, each by fixed or two-stage selections of knowledge and texts. An "
        f"action weights {', '.join(run.rows)}. A reward is the student's progress on held-out examples; "
        "infos have the condition, seed and selection of the episode, and the score of its student."
    )
