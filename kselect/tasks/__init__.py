"""What is learned: data, labels, encoding, metric. Importing it loads neither torch nor transformers."""

from kselect.tasks.encoding import EncodedSplit, encode
from kselect.tasks.registry import TASKS, load_task
from kselect.tasks.split import Split
from kselect.tasks.task import Task
from kselect.tasks.tokenizer import synthetic_tokenizer

__all__ = ["TASKS", "EncodedSplit", "Split", "Task", "encode", "load_task", "synthetic_tokenizer"]
