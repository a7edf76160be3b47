"""What needs no heavy library is refused before one is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kselect.cli.main import main
from kselect.knowledge.logits import Gold
from kselect.knowledge.registry import BUILDERS, register

ENCODER = ["--encoder", "a-hub-id"]
WITHOUT_A_TASK = {
    "train-teacher": ENCODER,
    "distill": [],
    "train-policy": [],
    "doctor": [],
    "explain": [],
    "compare": ["--teacher", "t", "--agents", "all"],
    "evaluate": ["m"],
    "export": ["m"],
}
NO_TASK = (
    "task is missing: name one, such as mrpc or, to try kselect out, synthetic-acceptability, whose data are "
    "generated, or give your own data as train_file. (--task)"
)
REFUSED = [
    *(([command, *words], NO_TASK) for command, words in WITHOUT_A_TASK.items()),
    (["distill", "--task", "mprc"], "Unknown task 'mprc': did you mean 'mrpc'?"),
    (["distill", "--task", "wnut17"], "give --config configs/wnut17.yaml, which lies here, or --train_file, and"),
    (["distill", "--task", "ner"], "give --train_file, and of words --task_type tags or trees."),
    (
        ["distill", "--train_file", "a.conll"],
        "not texts: give task_type tags. (--task_type)",
    ),
    (["predict", "m", "--test_file", "a.ConllU"], "give task_type tags or trees. (--task_type)"),
    (["distill", "--train_file", "a.csv"], "text_columns is missing: name the column of the text, or two; of"),
    (["distill", "--knowledge", "gold,logit"], "Unknown knowledge 'logit': did you mean 'logits'?"),
    (["distill", "--scales", "hiden=1"], "Unknown knowledge 'hiden': did you mean 'hidden'?"),
    (["distill", "--agent", "pdk"], "Unknown agent or policy folder 'pdk': did you mean 'pkd'?"),
    (["distill", "--agent", "actor-critic"], "actor-critic has no policy yet: give the folder of a trained policy"),
    (["distill", "--agent", "fixed"], "such as weights: {gold: 1}."),
    (["distill", "--agent", "pkd", "--knowledge", "gold"], "Agent 'pkd' needs the knowledge 'logits'"),
    (["distill", "--teacher", "runs/techer/model"], "runs/techer/model: did you mean 'runs/teacher/model'?"),
    (
        ["distill", "--teacher", "runs/wnut17-xxl/model"],
        "runs/wnut17-xxl/model. Training a teacher under the run_name wnut17-xxl in runs would make it.",
    ),
    (
        ["evaluate", "mine/wnut17-xxl/model"],
        "model. Training a teacher under the run_name wnut17-xxl in mine would make it.",
    ),
    (["evaluate", "none/wnut17-xxl/model"], "No such model folder: none/wnut17-xxl/model. Give a folder that save_"),
    (["distill", "--record_plots"], "record_plots plots a recording: give record, too. (--record_plots)"),
    (["train-policy", "--agent", "online"], "to train a policy, give actor-critic."),
    (["train-policy", "--student", "runs/teacher/modl"], "modl: did you mean 'runs/teacher/model'?"),
    (["train-teacher", "--encoder", "./none"], "No such model folder: ./none"),
    (["evaluate", "runs/techer"], "No such model folder: runs/techer: did you mean 'runs/teacher'?"),
    (["evaluate", "mine/techer"], "No such model folder: mine/techer: did you mean 'mine/teacher'?"),
    (["distill", "--train_file", "no.csv", "--text_columns", "a"], "no.csv does not exist in the current folder"),
    (["doctor", "--train_file", "ragged.csv", "--text_columns", "a"], "ragged.csv"),
    (["train-policy", "--train_file", "one.csv", "--text_columns", "b"], "has no column 'b'"),
    (
        ["predict", "m", "--test_file", "one.csv", "--text_columns", "b"],
        "Columns found: a, label. Rename one of them, or name another. (--text_columns)",
    ),
    (["doctor", "--train_file", "one.csv", "--text_columns", "a", "--label_column", "b"], "another. (--label_column)"),
    (["explain", "--task_type", "tags", "--train_file", "ragged.conll"], "ragged.conll:2"),
    (["train-teacher", "--task_type", "trees", "--train_file", "ragged.conll", *ENCODER], "ragged.conll"),
    (["train-teacher", "--task", "MRPC"], "mrpc needs a pretrained encoder: give its folder or Hub id. (--encoder)"),
    (
        ["train-teacher", "--task_type", "tags", "--train_file", "ragged.conll"],
        "ragged needs a pretrained encoder: give",
    ),
    (["evaluate", "m", "--task", "mrpc", "--data_dir", "mine"], "mine has no folder MRPC or glue/MRPC: give"),
    (["predict", "m", "--test_file", "ragged.csv", "--text_columns", "a"], "ragged.csv"),
    (["predict", "m", "--task_type", "tags", "--test_file", "no.conll"], "no.conll does not exist"),
    (["distill", "--task", "mrpc", "--run_name", "done"], "runs/done is not empty, its run is finished: give another"),
    (["explain", "--task", "mrpc", "--run_name", "done"], "runs/done is not empty, its run is finished: give another"),
    (["train-teacher", "--task", "mrpc", "--run_name", "teacher"], "runs/teacher is not empty, and holds no run"),
    (["collect", "--suite", "none.yaml"], "none.yaml does not exist in the current folder"),
    (
        ["collect", "--suite", "misspelt.yaml"],
        "misspelt.yaml 'condition': did you mean 'conditions'?",
    ),
    (["collect", "--suite", "strange.yaml"], "Unknown task 'mprc': did you mean 'mrpc'?"),
    (["collect", "--suite", "suite.yaml", "--conditions", "gold"], "Unknown condition 'gold'"),
    (["collect", "--suite", "suite.yaml", "--selections", "all*"], "No selection matches all*: give one of gold."),
    (["collect", "--suite", "suite.yaml", "--encoder", "./none"], "No such model folder: ./none"),
    (["collect", "--suite", "suite.yaml", "--minari", "mine-v0."], "minari is mine-v0.: give a name of letters"),
    (
        ["collect", "--suite", "suite.yaml", "--ablate", "--plot", "a.xyz"],
        "plot is a.xyz: give a file that ends in .png",
    ),
    (["doctor", "--task", "mrpc", "--policy", "none"], "policy is none, which is no policy: give the folder of one. ("),
    (["predict", "runs/teacher/model"], "No model in runs/teacher/model: config.json is missing."),
    (["evaluate", "one.csv"], "one.csv is a file: give a folder that save_pretrained wrote, or a hub id."),
    (["evaluate", "onnx"], "onnx is an export, which answers by its own predict.py: give the folder of the model"),
]
SUITE = """
tasks: {one: {task: mrpc}}
knowledge: {knowledge: [gold]}
selections: {gold: {gold: 1}}
conditions: [{name: one, task: one, stratum: as it is}]
"""
OF_TEACHERS = ("distill", "train-policy", "doctor", "explain")
SCRIPT = """
import contextlib, io, json, sys
from kselect.cli.main import main
said = []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as error:
        code = main(words)
    heavy = sorted({"torch", "transformers", "datasets", "gymnasium"} & set(sys.modules))
    said.append([code, heavy, error.getvalue()])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, list[str], str]]:
    """Exit code, heavy libraries loaded and standard error of each command line, all in one process."""
    place = tmp_path_factory.mktemp("place")
    (place / "runs" / "teacher" / "model").mkdir(parents=True)
    (place / "runs" / "done").mkdir()
    (place / "runs" / "done" / "results.json").touch()
    (place / "mine" / "teacher").mkdir(parents=True)
    (place / "configs").mkdir()
    (place / "onnx").mkdir()
    (place / "onnx" / "predict.json").touch()
    (place / "configs" / "wnut17.yaml").touch()
    (place / "one.csv").write_text("a,label\nfine,0\npoor,1\n")
    (place / "ragged.csv").write_text("a,label\nfine,0\npoor,1,2\n")
    (place / "ragged.conll").write_text("A O\nword\n\n")
    (place / "suite.yaml").write_text(SUITE)
    (place / "strange.yaml").write_text(SUITE.replace("mrpc", "mprc"))
    (place / "misspelt.yaml").write_text(SUITE.replace("conditions", "condition"))
    (place / "mine" / "teacher" / "config.yaml").touch()  # as a run under --runs_dir mine has it
    lines = [
        [*words, "--teacher", "t"] if words[0] in OF_TEACHERS and "--teacher" not in words else words
        for words, _ in REFUSED
    ]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); {SCRIPT.strip()}", json.dumps(lines)],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[tuple[int, list[str], str]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[" ".join(words) for words, _ in REFUSED])
def test_it_is_refused_in_one_line_and_at_once(place: int, answers: list[tuple[int, list[str], str]]) -> None:
    code, heavy, error = answers[place]
    assert (code, heavy) == (2, [])
    assert REFUSED[place][1] in error
    assert error.count("\n") == 1


def test_knowledge_that_a_script_has_registered_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Mine(Gold):
        name = "mine"

    (tmp_path / "config.json").write_text("{}")  # looked for early, and no model
    words = ["distill", "--task", "synthetic-topics", "--teacher", str(tmp_path), "--runs_dir", str(tmp_path)]
    words.append("--knowledge")
    register(Mine)
    try:
        assert main([*words, "gold,mine"]) == 2
        assert "Cannot load a model" in capsys.readouterr().err
        assert main([*words, "gold,mien"]) == 2
        assert "Unknown knowledge 'mien': did you mean 'mine'?" in capsys.readouterr().err
    finally:
        del BUILDERS["mine"]
    assert main([*words, "gold,mine"]) == 2
    assert "Unknown knowledge 'mine'" in capsys.readouterr().err
