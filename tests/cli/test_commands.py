"""The frame with its real parser and its real commands: settings, help and errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kselect.agents.registry import LEARNERS, ONLINE
from kselect.cli.commands import COMMANDS
from kselect.cli.main import main
from kselect.cli.parser import Command
from kselect.config import DemoSettings
from kselect.recipes import NAMED
from kselect.recipes.shipped import SHIPPED
from tests.command_line import settings_of

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
STOPPING = '''"""Stop in one way or another."""
from kselect.errors import KselectError
def run(settings, data):
    raise KeyboardInterrupt if settings.run.seed else KselectError("The teacher's head\\nis not trained.")
'''


def distill(*words: str):
    return settings_of("distill", ["--teacher", "t", *words])


def fails(capsys, *words: str) -> str:
    """Run the command line; it must exit with 2 and one line on standard error, which is returned."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kselect: error: ")
    assert err.count("\n") == 1
    assert "<class" not in err
    assert "Traceback" not in err
    return err.removeprefix("kselect: error: ").strip()


def test_defaults_are_those_of_the_dataclasses_unless_a_command_has_its_own():
    from kselect.config import TrainingConfig

    settings = distill()
    assert settings.training == TrainingConfig()
    assert settings.agent.agent == "auto"
    policy = settings_of("train-policy", ["--teacher", "t"])
    assert policy.agent.agent == "actor-critic"
    assert policy.policy.episodes == 8


def test_flags_win_over_yaml_and_later_files_over_earlier_ones(tmp_path):
    (tmp_path / "a.yaml").write_text("epochs: 5\nbatch_size: 8\nwarmup: 0.2\n")
    (tmp_path / "b.yaml").write_text("batch_size: 16\n")
    files = ["--config", str(tmp_path / "a.yaml"), f"--config={tmp_path / 'b.yaml'}"]
    training = distill("--epochs", "7", *files).training
    assert (training.epochs, training.batch_size, training.warmup) == (7.0, 16, 0.2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("knowledge: [gold, logits]", ["--knowledge", "gold,logits"]),
        ("knowledge: [gold]", ["--knowledge=gold"]),
        ("knowledge: gold, logits", ["--knowledge", '["gold", "logits"]']),
        ("scales: {hidden: 10, attention: 2.5}", ["--scales", "hidden=10,attention=2.5"]),
        ("scales:\n  hidden: 1e-4", ["--scales", "hidden=1e-4"]),
        ("scales: {hidden: 10}", ["--scales", '{"hidden": 10}']),
        ("layers: 3", ["--layers", "3"]),
        ("layers: [1, 3, 5]", ["--layers", "1,3,5"]),
        ("layers: [3]", ["--layers", "[3]"]),
        ("learning_rate: 1e-4", ["--learning_rate", "1e-4"]),
        ("train_limit: null", ["--train_limit", "null"]),
        ("run_name: '7'", ["--run_name", "7"]),
        ("agent_settings: {weights: {gold: 1}}", ["--agent_settings", '{"weights": {"gold": 1}}']),
        (
            "agent_settings: {learning_rate: 1e-3, norm: true}",
            ["--agent_settings", "learning_rate=1e-3,norm=true"],
        ),
    ],
)
def test_yaml_and_flags_say_the_same(tmp_path, text, words):
    (tmp_path / "c.yaml").write_text(text + "\n")
    assert distill("--config", str(tmp_path / "c.yaml")) == distill(*words)


def test_values_arrive_with_their_types():
    settings = distill(
        *(
            "--layers",
            "1,3,5",
            "--scales",
            "hidden=10",
            "--run_name",
            "7",
            "--agent_settings",
            "rate=1e-3,name=x",
        )
    )
    assert settings.model.layers == [1, 3, 5]
    relations = dict.fromkeys(("query-relations", "key-relations", "value-relations"), 1.0)
    assert settings.knowledge.scales == {"hidden": 10.0, **relations}
    assert settings.run.run_name == "7"
    assert settings.agent.agent_settings == {"rate": 1e-3, "name": "x"}
    assert distill("--layers", "3").model.layers == 3


def test_negative_values_are_values(capsys):
    error = fails(capsys, "distill", "--teacher", "t", "--epochs", "-1")
    assert error == "epochs is -1.0: give a positive number. (--epochs)"


def test_evaluate_takes_its_model_without_an_option():
    settings = settings_of("evaluate", ["runs/x/student", "--task", "mrpc"])
    assert (settings.model.model, settings.task.task) == ("runs/x/student", "mrpc")
    assert settings_of("evaluate", ["--task", "mrpc", "runs/x/student"]) == settings


@pytest.mark.parametrize("name", COMMANDS)
def test_flat_settings_repeat_themselves(name, tmp_path):
    command = COMMANDS[name]
    needed = {"teacher": "t", "model": "m", "suite": "s", "repo_id": "me/s", "folder": "f"}
    given = [word for key in needed if key in command.hints for word in (f"--{key}", needed[key])]
    settings = settings_of(name, given)
    (tmp_path / "flat.yaml").write_text(json.dumps(settings.to_dict()))
    assert settings_of(name, ["--config", str(tmp_path / "flat.yaml")]) == settings


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configs_load_into_the_commands_that_they_name(path):
    named = set(re.findall(rf"kselect (\S+) +--config configs/{path.name}", path.read_text()))
    assert named
    for name in named:
        assert path.stem.startswith(settings_of(name, ["--config", str(path)]).task.task)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_run(name):
    module = import_module(f"kselect.cli.{name.replace('-', '_')}")
    assert COMMANDS[name].name == name
    assert module.__doc__ is not None
    assert module.__doc__.startswith(COMMANDS[name].summary)
    assert callable(module.run)
    assert module.run.__doc__


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_the_help_parse(name):
    command = COMMANDS[name]
    examples = [shlex.split(line) for line in command.help.splitlines() if line.startswith("  kselect ")]
    assert examples
    for _, called, *words in examples:
        assert called == name
        assert command.settings([str(ROOT / w) if w.startswith("configs/") else w for w in words]) is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(name, capsys):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    command = COMMANDS[name]
    assert text.startswith(f"usage: kselect {name}")
    assert "Examples:" in text
    assert "<class" not in text
    assert "null" not in text
    for group in command.settings_class.groups().values():
        assert group.__doc__.rstrip(".") + ":" in text
    for option in command.hints:
        assert f"--{option} " in text


def test_help_lists_tasks_knowledge_and_agents(capsys):
    main(["distill", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in ("synthetic-acceptability", "mrpc", "relations", "deterministic-actor-critic", "random-soft"):
        assert name in text
    assert "gold, logits, hidden, attention, relations" in text


def test_help_lists_who_may_decide_and_who_may_learn(capsys):
    listed = {}
    for name in ("distill", "train-policy"):
        main([name, "--help"])
        text = capsys.readouterr().out
        listed[name] = re.findall(r"^  (\S+) {2,}\S", text[text.index("\nAgents:\n") :], re.MULTILINE)
    assert listed["train-policy"] == list(LEARNERS)
    named = [*ONLINE, *(name for name in NAMED if name not in LEARNERS)]
    assert listed["distill"] == [*SHIPPED, "FOLDER", "gold:1,logits:0.5", *named]


def test_overview_lists_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == text
    for command in COMMANDS.values():
        assert command.summary in text


def test_version(capsys):
    import kselect

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kselect {kselect.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["distil"], "Unknown command 'distil': did you mean 'distill'? Known: train-teacher,"),
        (["--task", "mrpc"], "'--task' comes before any command"),
        (["distill", "--learning-rate", "1"], "'--learning-rate': did you mean '--learning_rate'?"),
        (["distill", "--learn", "1"], "Unknown option '--learn'"),
        (["distill", "-task", "mrpc"], "Unknown option '-task': did you mean '--task'?"),
        (["distill", "--task"], "--task has no value"),
        (["distill", "--task", "--teacher", "t"], "--task has no value"),
        (["distill", "mrpc"], "'mrpc' belongs to no option"),
        (["evaluate", "one", "two"], "'two' belongs to no option"),
        (["distill"], "teacher is missing: give the folder or hub id"),
        (["evaluate"], "model is missing: give MODEL."),
        (["demo", "--seed", "-1"], "seed is -1: give 0 or more, below 2147483648."),
        (["demo", "--epochs", "1"], "Unknown option '--epochs'"),
    ],
)
def test_bad_words(capsys, words, said):
    assert said in fails(capsys, *words)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("epochs", "abc", "--epochs is 'abc': expected a number."),
        ("max_length", "3.5", "--max_length is '3.5': expected a whole number."),
        ("train_limit", "all", "--train_limit is 'all': expected a whole number."),
        ("precision", "fp8", "--precision is 'fp8': expected auto, bf16 or fp32."),
        ("layers", "1,x", "--layers is '1,x': expected a whole number or whole numbers such as 1,3,5."),
        ("scales", "hidden", "--scales is 'hidden': expected name=value pairs with numbers or measured,"),
        ("scales", "hidden=big", "--scales is 'hidden=big': expected name=value pairs with numbers or measured,"),
        ("scales", "{hidden: ", "--scales is '{hidden: ': expected name=value pairs with numbers or measured,"),
        ("layer_maps", "last", "--layer_maps is 'last': expected name=text pairs, such as hidden=uniform"),
        ("temperature", "warm", "temperature is 'warm': give a number, or a schedule over the run such as 4->1."),
        ("relation_heads", "0", "relation_heads is 0: give a positive number."),
        ("agent_settings", "[1]", "--agent_settings is '[1]': expected name=value pairs"),
        ("knowledge", "", "knowledge is empty"),
        ("knowledge", "gold,gold", "knowledge names a kind twice"),
        ("accumulation", "5", "accumulation is 5: give a divisor of batch_size (32)."),
        ("layers", "0", "layers is 0"),
        ("layers", "2,2", "layers names one twice"),
    ],
)
def test_bad_values(capsys, option, value, said):
    assert said in fails(capsys, "distill", "--teacher", "t", f"--{option}", value)


@pytest.mark.parametrize("value", ["0,1", "[0, 1]", '["0", "1"]'])
def test_labels_that_are_numbers(tmp_path, value):
    own = ["--train_file", "a.csv", "--text_columns", "text"]
    (tmp_path / "own.yaml").write_text(f"labels: {value if value[0] == '[' else f'[{value}]'}\n")
    for words in (["--labels", value], ["--config", str(tmp_path / "own.yaml")]):
        assert distill(*own, *words).task.labels == ["0", "1"]


def test_an_option_takes_texts_as_they_are_written():
    own = ["--train_file", "a.csv", "--text_columns", "text"]
    assert distill(*own, "--labels", "[no, 01, 1.0]").task.labels == ["no", "01", "1.0"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning-rate: 1", "unknown key 'learning-rate': did you mean 'learning_rate'?"),
        ("epochs: many", "bad.yaml: epochs is 'many': expected a number."),
        ("knowledge: 3", "bad.yaml: knowledge is 3: expected texts such as one,other."),
        ("labels: [no, yes]", "labels is [False, True]: expected texts such as one,other, so put quotes around each."),
        ("labels: [0.5, 1.5]", "labels is [0.5, 1.5]: expected texts such as one,other, so put quotes around each."),
        ("task:\n  - mrpc", "bad.yaml: task is ['mrpc']: expected a text."),
        ("task: mrpc\nepochs: [1, 2", "bad.yaml:2 is not valid YAML: "),
        ("task: mrpc\n\tepochs: 3", "bad.yaml:2 is not valid YAML: "),
        ("task: \x00", "bad.yaml is not valid YAML: "),
        ("- mrpc\n- rte", "bad.yaml is not a mapping"),
        ("3: 4", "bad.yaml is not a mapping"),
        ("just words", "bad.yaml is not a mapping"),
        ("? [1, 2]\n: 3", "is not valid YAML: found unhashable key."),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
        ("epochs: 1\nepochs: 2", "bad.yaml:2 is not valid YAML: it gives 'epochs' twice."),
    ],
)
def test_bad_yaml(capsys, tmp_path, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert said in fails(capsys, "distill", "--teacher", "t", "--config", str(path))


def test_a_file_for_other_commands_is_reported_as_such(capsys, tmp_path):
    said = fails(capsys, "train-teacher", "--config", str(ROOT / "configs" / "mrpc.yaml"))
    assert re.search(r"mrpc\.yaml has settings of .*distill.*, and 'teacher' is none of train-teacher's: give it", said)
    (tmp_path / "own.yaml").write_text("task: mrpc\nteacher: t\nfigures: all\n")
    said = fails(capsys, "train-teacher", "--config", str(tmp_path / "own.yaml"))
    assert "unknown key 'teacher': did you mean 'teacher_values'?" in said  # no other command takes it either


def test_unreadable_yaml(capsys, tmp_path):
    assert "does not exist: give --config" in fails(capsys, "distill", "--config", str(tmp_path / "none.yaml"))
    assert "cannot be read" in fails(capsys, "distill", "--config", str(tmp_path))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in fails(capsys, "distill", "--config", str(tmp_path / "binary.yaml"))


def test_a_config_file_that_is_not_there(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "wnut17.yaml").write_text("task: rte\n")
    assert fails(capsys, "distill", "--config", "configs/wnut17.yml") == (
        f"configs/wnut17.yml does not exist in the current folder ({tmp_path}): did you mean 'configs/wnut17.yaml'? "
        "Give --config the path of a YAML file."
    )
    assert "did you mean 'configs/wnut17.yaml'?" in fails(capsys, "distill", "--config", "config/wnut17.yaml")


def test_an_empty_yaml_changes_nothing(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert distill("--config", str(tmp_path / "empty.yaml")) == distill()


def test_a_command_that_stops(capsys, monkeypatch, tmp_path):
    (tmp_path / "stopping_command.py").write_text(STOPPING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "stop", Command("stop", DemoSettings, module="stopping_command"))
    assert fails(capsys, "stop") == "The teacher's head is not trained."
    assert main(["stop", "--seed", "1"]) == 130
    assert capsys.readouterr().err == "kselect: interrupted\n"


@pytest.mark.parametrize("words", [["--help"], ["distill", "--help"], ["distill", "--epochs", "x"]])
def test_talking_to_the_user_loads_no_heavy_library(words):
    script = (
        "import sys; from kselect.cli.main import main; main(sys.argv[1:]);"
        "print('HEAVY', {'torch', 'transformers', 'datasets', 'numpy', 'gymnasium'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert "HEAVY set()" in done.stdout


def test_the_exit_code_reaches_the_shell():
    words = [sys.executable, "-m", "kselect", "distill", "--epochs", "x", "--teacher", "t"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "kselect: error: --epochs is 'x': expected a number.\n"


@pytest.mark.parametrize(("words", "level"), [(["-v"], "debug"), (["--quiet"], "error"), ([], None)])
def test_read_takes_the_verbosity(words, level):
    arguments = COMMANDS["demo"].read([*words, "--seed", "1"])
    assert arguments.verbosity == level
    assert arguments.values == {"seed": "1"}


def test_help_takes_less_than_a_second_and_a_half_of_work():
    for words in (["--help"], ["distill", "--help"]):
        before = os.times()
        subprocess.run([sys.executable, "-m", "kselect", *words], capture_output=True, check=True)
        after = os.times()
        assert after.children_user - before.children_user < 1.5
