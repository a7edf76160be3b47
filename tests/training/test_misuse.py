"""Arguments of another kind than the library's functions take are refused in a line, before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kselect.agents.registry import make_agent
from kselect.config import PhaseConfig
from kselect.distillation.callback import DistillerCallback
from kselect.distillation.distiller import Distiller
from kselect.envs.distillation import DistillationEnv
from kselect.errors import KselectError
from kselect.models.loading import load_classifier, load_encoder, load_student
from kselect.models.shrink import shrink
from kselect.training.api import learn, rollout
from tests.tiny import tiny_classifier, tiny_distiller, tiny_task

Anything = Any  # what a type checker would refuse


class Stop(DistillerCallback):
    """A callback that does nothing."""


class Misspelt(DistillerCallback):
    """A hook that is none."""

    def on_phase_ends(self, record: dict[str, Any], control: object) -> None:
        """Called never."""


def distilled(**changes: Anything) -> Distiller:
    teacher = tiny_classifier(tiny_task(), layers=2)
    given: dict[str, Anything] = {"task": tiny_task(), "teacher": teacher, "student": shrink(teacher, 1), **changes}
    return Distiller(**given)


def shrunk(layers: Anything) -> Anything:
    return shrink(tiny_classifier(tiny_task(), layers=2), layers)


def rolled_out(**changes: Anything) -> Anything:
    env = DistillationEnv(tiny_distiller(), phases=PhaseConfig("constant", 3))
    agent = make_agent("random-hard", env.observation_space, env.action_space, env.distiller.names)
    run: Callable[..., Anything] = changes.pop("run", rollout)
    return run(**{"agent": agent, "env": env, **changes})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distilled(teacher="path"), "teacher is 'path': give a Classifier, such as `load_teacher` returns"),
        (lambda: distilled(teacher=["path"]), "teacher is 'path': give a Classifier"),
        (lambda: distilled(teacher=7), "teacher is 7: give a Classifier"),
        (lambda: distilled(student=None), "student is None: give a Classifier, such as `load_student` and `shrink`"),
        (lambda: distilled(student="path"), "student is 'path': give a Classifier"),
        (lambda: distilled(task="mrpc"), "task is 'mrpc': give a Task, such as `load_task` and `build_task` return"),
        (lambda: distilled(training={"epochs": 1}), "training is of type dict: give a TrainingConfig"),
        (lambda: distilled(knowledge=["gold"]), "knowledge is of type list: give a KnowledgeConfig"),
        (lambda: distilled(parser="path"), "parser is 'path': give a Classifier"),
        (lambda: shrunk("x"), "layers is 'x': give how many layers to keep, or a list of those to keep"),
        (lambda: shrunk(None), "layers is None: give how many layers to keep"),
        (lambda: shrunk(1.5), "layers is 1.5: give how many layers to keep"),
        (lambda: shrunk(True), "layers is True: give how many layers to keep"),
        (lambda: shrunk([1, "x"]), "layers is 'x': give the numbers of the layers to keep"),
        (lambda: shrink("path"), "teacher is 'path': give a Classifier"),  # type: ignore[arg-type]  # the misuse
        *(
            (lambda load=load: load("path", "mrpc"), "task is 'mrpc': give a Task")
            for load in (load_classifier, load_encoder, load_student)
        ),
        (lambda: DistillationEnv(tiny_task()), "distiller is of type TextTask: give a Distiller"),  # type: ignore[arg-type]  # the misuse
        (lambda: rolled_out(agent="all"), "agent is 'all': give an Agent, such as `make_agent` and `load_agent`"),
        (lambda: rolled_out(env=tiny_task()), "env is of type TextTask: give a DistillationEnv"),
        (
            lambda: rolled_out(env=None, run=learn, episodes=1),
            "env is None: give a DistillationEnv, or a wrapper of one",
        ),
        (lambda: rolled_out(callbacks=Stop()), "callbacks is of type Stop: give a list of callbacks, even of a single"),
        (lambda: rolled_out(callbacks=None), "callbacks is None: give a list of callbacks"),
        (lambda: rolled_out(callbacks="stop"), "callbacks is 'stop': give a list of callbacks"),
        (lambda: rolled_out(callbacks=[Stop]), "callbacks is the class Stop: give instances of subclasses of Distill"),
        (lambda: rolled_out(callbacks=[print]), "callbacks is of type builtin_function_or_method: give instances"),
        (
            lambda: rolled_out(callbacks=[Misspelt()]),
            "hook in the callback Misspelt 'on_phase_ends': did you mean 'on_",
        ),
        (
            lambda: rolled_out(callbacks=[Misspelt()], run=learn, episodes=1),
            "'on_phase_ends': did you mean 'on_phase_e",
        ),
        (
            lambda: DistillationEnv(tiny_distiller(), callbacks=[Misspelt()]),
            "Unknown hook in the callback Misspelt 'on_phase_ends': did you mean 'on_phase_end'? Known: on_train_begin",
        ),
    ],
)
def test_arguments_of_another_kind_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(KselectError) as refused:
        call()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_misspelt_hook_set_on_an_instance_is_refused_and_data_is_not() -> None:
    callback = Stop()
    callback.on_cpu = True  # type: ignore[attr-defined]  # no hook
    assert rolled_out(callbacks=(callback,)).examples
    callback.on_step_ended = print  # type: ignore[attr-defined]  # a misspelt hook
    with pytest.raises(KselectError, match="'on_step_ended': did you mean 'on_step_end'"):
        rolled_out(callbacks=[callback])


def test_a_path_for_a_parser_is_refused_in_short(tmp_path: Path) -> None:
    with pytest.raises(KselectError, match=r"^parser is (Posix|Windows)Path\('.*'\): give a Classifier"):
        distilled(parser=tmp_path)
