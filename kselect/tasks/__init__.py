"""What is learned: data, labels, encoding, metric. Importing it loads neither torch nor transformers."""

from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.registry import TASKS, load_task, load_test
from kselect.tasks.splits import Split
from kselect.tasks.synthetic.tokenizer import synthetic_tokenizer
from kselect.tasks.task import Task, TextTask, build_task
from kselect.tasks.text_files import TextFiles

__all__ = [
    "TASKS",
    "EncodedSplit",
    "Split",
    "Task",
    "TextFiles",
    "TextTask",
    "build_task",
    "encode",
    "load_task",
    "load_test",
    "synthetic_tokenizer",
]
