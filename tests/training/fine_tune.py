"""An ordinary script that fine-tunes a classifier with transformers, in the manner of its `run_glue.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
)


@dataclass
class Data:
    """Where model and data are."""

    model_name_or_path: str
    train_file: str
    validation_file: str
    max_seq_length: int = 32


parser = HfArgumentParser((Data, TrainingArguments))  # type: ignore[arg-type]
data_args, training_args = parser.parse_args_into_dataclasses()
files = {"train": data_args.train_file, "validation": data_args.validation_file}
raw_datasets = load_dataset("json", data_files=files, cache_dir=training_args.output_dir)
tokenizer = AutoTokenizer.from_pretrained(data_args.model_name_or_path)
model = AutoModelForSequenceClassification.from_pretrained(data_args.model_name_or_path, num_labels=2)


def preprocess(examples):
    """Tokenise sentences."""
    return tokenizer(examples["sentence"], truncation=True, max_length=data_args.max_seq_length)


def compute_metrics(prediction):
    """Return the accuracy."""
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


tokenized = raw_datasets.map(preprocess, batched=True)
trainer = Trainer(
    model=model,
    args=training_args,
    train_dataset=tokenized["train"],
    eval_dataset=tokenized["validation"],
    compute_metrics=compute_metrics,
    processing_class=tokenizer,
    data_collator=DataCollatorWithPadding(tokenizer),
)
trainer.train()
trainer.save_model()
metrics = trainer.evaluate()
trainer.log_metrics("eval", metrics)
