"""Kinds of knowledge, agents and recipes of other installed packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = '''
import numpy as np
import kselect
from kselect.models.needs import Needs
from kselect.recipes import Recipe


class LogitsL1(kselect.Knowledge):
    """The absolute difference of the logits."""

    name = "logits-l1"
    student_needs = Needs()
    teacher_needs = Needs()

    def loss(self, student, teacher, batch):
        return (student.output - teacher.output).abs().sum(-1)


class LastOnly(kselect.Agent):
    """Selects the last kind of knowledge."""

    actions = ("hard",)

    def act(self, observation, *, explore=False):
        return np.eye(self.rows, dtype=np.int8)[-1]


recipe = Recipe("gold and absolute differences", [{"weights": {"gold": 1, "logits-l1": 1}}])
not_a_recipe = 3
'''
ENTRY_POINTS = """
[kselect.knowledge]
logits-l1 = my_kinds:LogitsL1

[kselect.agents]
last-only = my_kinds:LastOnly

[kselect.recipes]
l1 = my_kinds:recipe
"""


def install(folder: Path, name: str = "my-kinds", entry_points: str = ENTRY_POINTS, code: str = CODE) -> None:
    """Put a distribution into a folder of sys.path, as pip would."""
    module = name.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{module}.py").write_text(code)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=folder, env=env)


def test_names_are_known_without_importing_the_package(tmp_path: Path) -> None:
    install(tmp_path)
    code = "import sys; from kselect.agents import AGENTS; from kselect.recipes import NAMED;"
    code += "print('last-only' in AGENTS, NAMED['last-only'], NAMED['l1'], 'my_kinds' in sys.modules, sep='; ')"
    out = run(tmp_path, "-c", code).stdout
    assert out == "True; an agent of the package my-kinds; a recipe of the package my-kinds; False\n"
    text = run(tmp_path, "-m", "kselect", "distill", "--help").stdout
    assert "last-only" in text
    assert "l1" in text


@pytest.mark.slow
def test_all_three_are_built_and_a_saved_agent_is_loaded_by_its_class(tmp_path: Path) -> None:
    install(tmp_path)
    code = """
from tests.tiny import tiny_distiller
import kselect
from kselect.agents.registry import agent_class, learns, make_agent
from kselect.recipes import RECIPES
env = kselect.DistillationEnv(tiny_distiller({"knowledge": ["gold", "logits-l1"]}), measure_rewards=False)
agent = make_agent("last-only", env.observation_space, env.action_space, env.names)
agent.save("saved")
result = kselect.rollout(agent, env)
print(result.history[0]["weights"], learns("last-only"), RECIPES["l1"].knowledge)
"""
    done = run(tmp_path, "-c", code)
    assert done.stdout == "{'gold': 0.0, 'logits-l1': 1.0} False ('gold', 'logits-l1')\n", done.stderr
    loaded = run(tmp_path, "-c", "import kselect; print(type(kselect.load_agent('saved')).__module__)")
    assert loaded.stdout == "my_kinds\n", loaded.stderr


def test_the_command_line_knows_the_kind_of_knowledge(tmp_path: Path) -> None:
    install(tmp_path)
    words = ["distill", "--task", "rte", "--teacher", "t", "--knowledge", "gold,logits-l1,x", "--agent", "last-only"]
    done = run(tmp_path, "-m", "kselect", *words)
    assert done.returncode == 2
    assert "Unknown knowledge 'x'" in done.stderr
    assert "logits-l1" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry_points", "code", "use", "message"),
    [
        (
            ENTRY_POINTS,
            "import not_there",
            "from kselect.agents import make_agent; make_agent('last-only', None, None, [])",
            "The package my-kinds announces last-only in kselect.agents, and importing my_kinds:LastOnly fails "
            "(ModuleNotFoundError: No module named 'not_there'): update or uninstall that package.",
        ),
        (
            "[kselect.recipes]\nl1 = my_kinds:not_a_recipe",
            CODE,
            "from kselect.recipes import RECIPES; RECIPES['l1']",
            "The package my-kinds announces the recipe l1, and my_kinds:not_a_recipe is not a Recipe: ",
        ),
        (
            "[kselect.agents]\nl1 = my_kinds:recipe",
            CODE,
            "from kselect.agents import make_agent; make_agent('l1', None, None, [])",
            "The package my-kinds announces the agent l1, and my_kinds:recipe is not a subclass of kselect.Agent: ",
        ),
        (
            "[kselect.knowledge]\nl2 = my_kinds:LogitsL1",
            CODE,
            "from kselect.knowledge.registry import BUILDERS; BUILDERS['l2']",
            "The package my-kinds announces the knowledge l2, and my_kinds:LogitsL1 is neither a Knowledge of that ",
        ),
        (
            "[kselect.knowledge]\nlogits = my_kinds:LogitsL1",
            CODE,
            "from kselect.knowledge.registry import BUILDERS; 'x' in BUILDERS",
            "The package my-kinds announces logits in kselect.knowledge, a name that kselect itself uses already: ",
        ),
    ],
)
def test_a_faulty_package_is_one_line_that_names_it(
    entry_points: str, code: str, use: str, message: str, tmp_path: Path
) -> None:
    install(tmp_path, entry_points=entry_points, code=code)
    error = run(tmp_path, "-c", use).stderr.strip().splitlines()[-1]
    assert error.startswith(f"kselect.errors.KselectError: {message}")


def test_two_packages_with_one_name_are_refused(tmp_path: Path) -> None:
    install(tmp_path)
    install(tmp_path, "your-kinds", "[kselect.recipes]\nl1 = your_kinds:recipe")
    done = run(tmp_path, "-m", "kselect", "distill", "--agent", "l1")
    assert done.returncode == 2
    assert "announces l1 in kselect.recipes, a name that the package" in done.stderr
    assert done.stderr.count("\n") == 1
