"""Policies and students on the Hugging Face Hub, by a local server of its protocol."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub.constants
import pytest

import kselect
from kselect.cli.main import main
from kselect.errors import KselectError
from kselect.runs.model_card import model_card
from tests.agents.identity import IdentityEnv, train
from tests.tiny import tiny_classifier, tiny_task


class Hub:
    """A server that accepts a repository and one commit, and remembers both."""

    def __init__(self) -> None:
        self.repositories: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/api/repos/create":
                    hub.repositories.append(json.loads(body))
                    answer: Any = {"url": f"{hub.url}/me/thing", "id": "me/thing"}
                elif "/preupload/" in self.path:
                    names = [file["path"] for file in json.loads(body)["files"]]
                    answer = {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
                elif "/commit/" in self.path:
                    lines = [json.loads(line)["value"] for line in body.splitlines() if b'"file"' in line]
                    hub.files = {value["path"]: base64.b64decode(value["content"]) for value in lines}
                    answer = {"commitUrl": f"{hub.url}/me/thing/commit/1", "commitOid": "1", "pullRequestUrl": None}
                else:
                    answer = {}
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def agent() -> kselect.Agent:
    env = IdentityEnv(soft=False)
    agent = kselect.ActorCritic(env.observation_space, env.action_space)
    train(agent, env, 1)
    agent.names = ("gold", "logits", "hidden", "relations")
    return agent


def saved(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("no_network")
def test_a_policy_is_saved_and_loaded_locally(agent: kselect.Agent, tmp_path: Path) -> None:
    agent.save_pretrained(tmp_path)
    assert set(saved(tmp_path)) == {"agent.json", "agent.safetensors"}
    for cls in (kselect.Agent, kselect.ActorCritic):
        loaded = cls.from_pretrained(tmp_path)
        assert type(loaded) is kselect.ActorCritic
        assert loaded.settings == agent.settings
        assert loaded.state()[1] == agent.state()[1]
    with pytest.raises(KselectError, match="holds a ActorCritic, not a DeterministicActorCritic"):
        kselect.DeterministicActorCritic.from_pretrained(tmp_path)


def test_a_policy_is_pushed_as_it_is_saved_with_a_card(agent: kselect.Agent, hub: Hub, tmp_path: Path) -> None:
    agent.save(tmp_path)
    address = agent.push_to_hub("me/thing", private=True, token="hf_x", commit_message="First")
    assert address == f"{hub.url}/me/thing/commit/1"
    (repository,) = hub.repositories
    assert repository["name"] == "thing"
    assert repository.get("visibility") == "private" or repository.get("private") is True  # as the library's version
    card = hub.files.pop("README.md").decode()
    assert hub.files == saved(tmp_path)
    assert card.startswith("---\nlibrary_name: kselect\ntags:\n- kselect\n")
    assert 'kselect.Agent.from_pretrained("me/thing")' in card
    assert "gold, logits, hidden, relations" in card


@pytest.mark.usefixtures("no_network")
def test_a_student_is_saved_and_loaded_locally(tmp_path: Path) -> None:
    task = tiny_task()
    student = tiny_classifier(task, layers=1)
    student.save_pretrained(tmp_path)
    loaded = kselect.Classifier.from_pretrained(tmp_path, task)
    for name, tensor in student.model.state_dict().items():
        assert loaded.model.state_dict()[name].equal(tensor)


def test_a_student_is_pushed_as_it_is_saved(hub: Hub, tmp_path: Path) -> None:
    student = tiny_classifier(tiny_task(), layers=1)
    student.save_pretrained(tmp_path)
    student.push_to_hub("me/thing", card="# A student\n")
    assert hub.files.pop("README.md") == b"# A student\n"
    assert hub.files == saved(tmp_path)


@pytest.mark.parametrize("name", ["not/there/at/all", "none"])
def test_a_policy_that_is_nowhere_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(KselectError) as caught:
        kselect.Agent.from_pretrained(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_that_refuses_is_one_line(agent: kselect.Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(KselectError, match=r"Cannot push to me/thing \(.*\): check its name, your token and the net"):
        agent.push_to_hub("me/thing", token="hf_x")


def test_a_run_is_pushed_by_its_command_with_its_card(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    folder = tmp_path / "run" / "student"
    tiny_classifier(tiny_task(), layers=1).save_pretrained(folder)
    results = {"task": "t", "agent": "online", "seed": 0, "metrics": {"accuracy": 0.5}, "examples": 8}
    (folder / "README.md").write_text(model_card(results, "kselect distill", "runs/x/student"))
    assert main(["push", str(tmp_path / "run"), "--repo_id", "me/thing", "--private"]) == 0
    assert capsys.readouterr().out == f"pushed: {hub.url}/me/thing/commit/1\n"
    card = hub.files.pop("README.md").decode()
    assert 'kselect.load("me/thing")' in card
    assert "runs/x" not in card
    assert hub.files == {name: content for name, content in saved(folder).items() if name != "README.md"}
    (repository,) = hub.repositories
    assert repository.get("visibility") == "private" or repository.get("private") is True


def test_a_policy_is_pushed_by_its_command(
    agent: kselect.Agent, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    agent.save(tmp_path / "policy")
    assert main(["push", str(tmp_path), "--repo_id", "me/thing"]) == 0
    assert set(hub.files) == {"README.md", "agent.json", "agent.safetensors"}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none", "--repo_id", "me/thing"], "none is not a folder"),
        (["{}", "--repo_id", "me/thing"], "No model in {}"),
        (["{}", "--repo_id", "thing"], "repo_id is 'thing': give user/name."),
    ],
)
def test_what_cannot_be_pushed(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", *(word.format(tmp_path) for word in words)]) == 2
    assert said.format(tmp_path) in capsys.readouterr().err
