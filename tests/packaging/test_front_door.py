"""The public names of the package: complete, lazy, typed; and its environment, known to Gymnasium."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import kselect
from kselect import config

ROOT = Path(__file__).parents[2]
NEEDS_A_TEACHER = "KselectError: teacher is missing: give the folder or hub id of a fine-tuned classifier, or"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def typed_names() -> dict[str, str]:
    """What a type checker sees: each public name with the module that it comes from."""
    tree = ast.parse((ROOT / "kselect" / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assignments = [node for node in block.body if isinstance(node, ast.Assign)]
    names = {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}
    names |= {ast.unparse(node.targets[0]): names[ast.unparse(node.value).partition(".")[0]] for node in assignments}
    return {name: module for name, module in names.items() if not name.startswith("_")}


def test_dir_lists_the_public_names() -> None:
    assert dir(kselect) == sorted([*kselect.__all__, "__version__"])
    wanted = (
        "ActorCritic Agent Classifier DistillationEnv Distiller DistillerCallback Knowledge KselectError RandomHard"
    )
    wanted += " RandomSoft SB3Agent Schedule Task build_task learn load_agent load_student load_task load_teacher"
    wanted += " make_agent register rollout shrink"
    assert set(wanted.split()) <= set(kselect.__all__)


def test_every_config_is_public() -> None:
    configs = {name for name in config.__all__ if dataclasses.is_dataclass(getattr(config, name))}
    named = {name for name in configs if name.endswith("Config") and name != "Config"}
    assert named <= set(kselect.__all__)


def test_type_checkers_see_the_names_that_exist() -> None:
    names = typed_names()
    assert set(names) == set(kselect.__all__)
    for name, module in names.items():
        if name != "load_teacher":
            assert getattr(import_module(module), name) is getattr(kselect, name)
    assert (ROOT / "kselect" / "py.typed").is_file()


def test_import_loads_neither_torch_nor_numpy_nor_gymnasium() -> None:
    heavy = run("import sys, kselect; dir(kselect); print({'torch', 'numpy', 'gymnasium'} & set(sys.modules))")
    assert heavy.stdout == "set()\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'ActorCritik'"):
        kselect.ActorCritik  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import kselect, gymnasium; gymnasium.make('kselect/Distillation-v0')",
        "import gymnasium, kselect; gymnasium.make('kselect/Distillation-v0')",
        "import gymnasium; gymnasium.make('kselect:kselect/Distillation-v0')",
        "import gymnasium; gymnasium.make('kselect.envs:kselect/Distillation-v0')",
        "import kselect.envs; from gymnasium.envs.registration import make; make('kselect/Distillation-v0')",
        "import kselect; from kselect import DistillationEnv; import gymnasium; "
        "gymnasium.make('kselect/Distillation-v0')",
    ],
)
def test_gymnasium_knows_the_environment(code: str) -> None:
    done = run(code)
    assert NEEDS_A_TEACHER in done.stderr.strip().splitlines()[-1]


def test_registering_leaves_gymnasium_as_it_is() -> None:
    code = """
import inspect, sys
from importlib import resources
import kselect, gymnasium
kselect.gymnasium_plugin.install()
finders = [type(finder).__name__ for finder in sys.meta_path]
print(len(inspect.getsource(gymnasium)) > 0, resources.files(gymnasium).is_dir(), "_GymnasiumFinder" in finders)
"""
    assert run(code).stdout == "True True False\n"
