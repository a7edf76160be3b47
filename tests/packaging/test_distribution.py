"""The sdist and the wheel: what they hold, and that an installed wheel trains next to another package's `agents`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2]))"
TRAIN = """
import agents, kselect, gymnasium
from kselect.models.scratch import new_classifier
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer

assert agents.OWNER == "another package", agents.__file__
assert gymnasium.spec("kselect/Distillation-v0").version == 0
task = kselect.load_task("synthetic-acceptability", train_limit=40)
teacher = new_classifier(task, synthetic_tokenizer(), layers=2, hidden_size=16, heads=2, max_length=32, seed=0)
training = kselect.TrainingConfig(batch_size=8, epochs=1, precision="fp32")
env = kselect.DistillationEnv(kselect.Distiller(task, teacher, kselect.shrink(teacher, 1), training, max_length=32))
agent = kselect.ActorCritic(env.observation_space, env.action_space)
kselect.learn(agent, env, episodes=1)
agent.save("policy")
result = kselect.rollout(kselect.load_agent("policy"), env)
print(kselect.__file__, *result.metrics)
"""


def run(*words: object, cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, tree: Path, out: Path) -> Path:
    return out / run(sys.executable, "-c", BUILD, kind, out, cwd=tree).splitlines()[-1]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("kselect", "agents", "envs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


def modules() -> set[str]:
    """Every module of the package as `kselect/...`, read through the links of the checkout."""
    paths = [Path(folder, name) for folder, _, names in os.walk(ROOT / "kselect", followlinks=True) for name in names]
    return {str(path.relative_to(ROOT)) for path in paths if path.suffix == ".py"}


def test_wheel_holds_files_under_kselect_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {info.filename: info for info in archive.infolist()}
    info_dir = next(name for name in files if name.endswith("/METADATA")).rpartition("/")[0]
    packaged = {name for name in files if not name.startswith(info_dir)}
    policies = {str(path.relative_to(ROOT)) for path in (ROOT / "kselect" / "policies").rglob("*") if path.is_file()}
    assert packaged == modules() | policies | {"kselect/py.typed", "kselect/analysis/inspection/page.html"}
    assert policies
    assert not any((info.external_attr >> 28) == 0o12 for info in files.values())  # no link
    assert contents(wheel)[f"{info_dir}/top_level.txt"].split() == [b"kselect"]


def test_sdist_holds_the_same_modules_and_no_link(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    assert {name for name in members if name.endswith(".py") and name != "setup.py"} == modules()
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]
    assert not {name.partition("/")[0] for name in members} & {"agents", "envs", "tests", "runs"}


def test_sdist_unpacked_elsewhere_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    assert contents(build("wheel", tree, tmp_path)) == contents(wheel)


def foreign_wheel(folder: Path) -> Path:
    """A wheel of another project, which owns the import name `agents`."""
    path = folder / "foreign-1.0-py3-none-any.whl"
    info = "foreign-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("agents/__init__.py", "OWNER = 'another package'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.slow
def test_installed_wheel_trains_next_to_another_agents_package(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # torch and the others, already installed
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--disable-pip-version-check", "--force-reinstall", wheel, foreign_wheel(tmp_path), cwd=tmp_path)
    assert run(tmp_path / "env" / "bin" / "kselect", "--version", cwd=tmp_path).startswith("kselect ")
    imported, *metrics = run(python, "-c", TRAIN, cwd=tmp_path).splitlines()[-1].split()
    assert Path(imported) == site / "kselect" / "__init__.py"
    assert "loss" in metrics
