"""What is learned: data, labels, encoding, metric. Importing it loads neither torch nor transformers."""

from kselect.tasks.building import build_task
from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.own_files import OwnFiles
from kselect.tasks.registry import TASKS, load_task, load_test
from kselect.tasks.split import Split
from kselect.tasks.task import Task
from kselect.tasks.text_task import TextTask
from kselect.tasks.tokenizer import synthetic_tokenizer

__all__ = [
    "TASKS",
    "EncodedSplit",
    "OwnFiles",
    "Split",
    "Task",
    "TextTask",
    "build_task",
    "encode",
    "load_task",
    "load_test",
    "synthetic_tokenizer",
]
