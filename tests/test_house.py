"""The house as a whole: imports point down, names in texts are real, and what the README says to type is accepted."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import kselect
from kselect.cli.commands import COMMANDS
from kselect.config import KNOWLEDGE_NAMES
from kselect.recipes import NAMED
from kselect.recipes.policies import ONLINE
from kselect.recipes.resolve import COMPARED
from kselect.tasks.registry import TASKS

ROOT = Path(__file__).parents[1]

# From the ground up; a module may import from its own floor and from below. Agents know nothing of distillation.
FLOORS = [
    ["kselect.errors"],
    [
        "kselect.hub",
        "kselect.io",
        "kselect.launcher",
        "kselect.logging",
        "kselect.plugins",
        "kselect.schedule",
        "kselect.stats",
    ],
    ["kselect.config", "kselect.agents"],
    ["kselect.tasks"],
    ["kselect.structure"],
    ["kselect.models"],
    ["kselect.knowledge"],
    ["kselect.distillation"],
    ["kselect.envs"],
    ["kselect.recipes", "kselect.runs"],
    ["kselect.training", "kselect.analysis", "kselect.inference", "kselect.export"],
    ["kselect.collection"],
    ["kselect.cli"],
]


def floor(module: str) -> int | None:
    for level, packages in enumerate(FLOORS):
        if any(module == package or module.startswith(package + ".") for package in packages):
            return level
    return None


def imports(path: Path) -> list[str]:
    """Modules of ours that a file imports when it runs; what only a type checker reads is left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    found += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [name for name in found if name.split(".")[0] == "kselect"]


SOURCES = [path for package in ("kselect", "agents", "envs") for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    own = floor(".".join(parts if parts[0] == "kselect" else ("kselect", *parts)))
    if own is None:  # the top of a package, which hands out names lazily
        return
    for name in imports(path):
        level = floor(name)
        assert level is None or level <= own, f"imports {name}, which is above it"


def test_agents_know_nothing_of_distillation() -> None:
    for path in sorted((ROOT / "agents").glob("*.py")):
        assert {name for name in imports(path) if not name.startswith("kselect.agents")} <= {
            "kselect.errors",
            "kselect.hub",
            "kselect.io",
            "kselect.plugins",
        }
        texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not texts & {"gold", "logits", *COMPARED}, path


def test_no_module_imports_the_top_level_links() -> None:
    for path in SOURCES:
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert {name.split(".")[0] for name in names}.isdisjoint({"agents", "envs"}), path


def test_settings_have_a_type_in_every_signature() -> None:
    for path in SOURCES:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
                types = [argument.annotation for argument in arguments if argument.arg == "settings"]
                assert all(kind is None or ast.unparse(kind) != "Any" for kind in types), f"{path}:{function.lineno}"


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_]+|\bkselect (?:" + "|".join(COMMANDS) + r")\b")
WRITES_COMMANDS = (
    "kselect/cli/",
    "kselect/config/",
    "kselect/runs/run_dir.py",
    "kselect/runs/model_card.py",
    "kselect/runs/provenance.py",  # calls git
)
"""The command line, the help texts of settings, and what a run folder says of how to repeat the run."""


def messages(path: Path) -> list[tuple[int, str]]:
    """The strings of a file but for its docstrings and the texts under fields."""
    tree = ast.parse(path.read_text())
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts]
    return [(node.lineno, node.value) for node in constants if isinstance(node.value, str)]


def test_the_library_names_settings_and_no_options() -> None:
    paths = [path for path in SOURCES if not str(path.relative_to(ROOT)).startswith(WRITES_COMMANDS)]
    offenders = [f"{path}:{line} {text}" for path in paths for line, text in messages(path) if FLAG.search(text)]
    assert offenders == []


def test_commands_import_nothing_within_functions_but_what_help_has_no_use_for() -> None:
    lazy = {"parser.py", "artifacts.py", "compared_tasks.py"}  # read before a command is known to run
    for path in sorted((ROOT / "kselect" / "cli").glob("*.py")):
        inner = [
            node
            for function in ast.walk(ast.parse(path.read_text()))
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not inner or path.name in lazy, path


def test_every_public_name_is_there() -> None:
    for name in kselect.__all__:
        assert getattr(kselect, name).__doc__, name


@pytest.mark.parametrize("command", ["train-teacher", "distill"])
def test_help_names_every_task(command: str) -> None:
    text = COMMANDS[command].parser.format_help()
    assert [name for name in TASKS if name not in text] == []


def test_help_names_every_agent_and_knowledge() -> None:
    text = COMMANDS["distill"].parser.format_help()
    assert [name for name in (*NAMED, *ONLINE, *KNOWLEDGE_NAMES) if name not in text] == []


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    text = "".join(blocks).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("kselect ")]


@pytest.mark.parametrize("line", readme_commands())
def test_the_readmes_commands_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name, *words = shlex.split(line)[1:]
    assert COMMANDS[name].settings(words) is not None


def test_the_readme_has_commands() -> None:
    assert len(readme_commands()) >= 4
