"""One and the same distillation by kselect, TextBrewer, torchdistill and transformers' Trainer.

Each function trains one student under a seed and returns it with the seconds between the first batch and the last
step. With `default` a library is run as its own example runs it, else with kselect's batches, optimiser and precision:

* TextBrewer, examples/mnli_example: texts padded to the full length, a random order, both models' hidden states
  returned whole, every loss written down at every step, weights saved twice an epoch.
* torchdistill, examples/hf_transformers/text_classification.py: batches of a random order padded to their longest
  text, the loss read at every step.
* Trainer, run_glue.py of transformers with the teacher in `compute_loss`: texts padded to the full length, a random
  order, its own logging and saving.

All of them run the teacher for every batch, since none offers hidden states from a cache; the optimiser, but for
Trainer's own default, is plain AdamW. Optional libraries are imported only when they are run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import metadata
from typing import Any

import torch
from pair import LIVE
from race import TEMPERATURE, Padding, Race, divergence
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments, get_linear_schedule_with_warmup

from kselect.distillation.distiller import Distiller
from kselect.distillation.optimizer import make_optimizer

Run = tuple[float, PreTrainedModel]


def kselect_run(race: Race, seed: int, distiller: Distiller, steps: int | None = None) -> Run:
    """Distil by kselect, all three kinds of knowledge alike throughout, for so many steps or all."""
    distiller.reset(seed)
    start = race.clock()
    distiller.advance([1.0] * len(distiller.names), steps or distiller.total_steps)
    return race.clock() - start, distiller.student.model


def first_run(race: Race, seed: int) -> Run:
    """Distil by kselect, its pass of the teacher over the data included."""
    with tempfile.TemporaryDirectory() as folder:
        return kselect_run(race, seed, race.distiller(cache_dir=folder))


def live_run(race: Race, seed: int) -> Run:
    """Distil by kselect with the teacher run for every batch."""
    return kselect_run(race, seed, race.distiller(**LIVE))


def textbrewer(race: Race, seed: int, default: bool) -> Run:
    """Distil by TextBrewer's GeneralDistiller."""
    from textbrewer import DistillationConfig, GeneralDistiller
    from textbrewer import TrainingConfig as Training

    torch.manual_seed(seed)
    student, teacher = _models(race, default)
    settings, factors = race.training, race.factors
    matches = [
        {"layer_T": t, "layer_S": s, "feature": "hidden", "loss": "hidden_mse", "weight": factors["hidden"] / 3}
        for s, t in race.pairs
    ]

    def adaptor(batch: dict[str, Tensor], outputs: Any) -> dict[str, Any]:
        told = {"logits": outputs.logits, "hidden": outputs.hidden_states, "losses": outputs.loss}
        return told if default else told | {"inputs_mask": batch["attention_mask"]}

    distillation = DistillationConfig(
        temperature=TEMPERATURE,
        hard_label_weight=factors["gold"],
        kd_loss_weight=factors["logits"] * TEMPERATURE**2,
        intermediate_matches=matches,
    )
    loader = race.loader("longest possible" if default else "bucketed", seed)
    epochs = round(settings.epochs)
    with tempfile.TemporaryDirectory() as folder:
        saving = {"ckpt_frequency": 2, "log_dir": folder} if default else {"ckpt_epoch_frequency": epochs}
        training = Training(device=race.device, output_dir=folder, **saving)
        distiller = GeneralDistiller(training, distillation, teacher, student, adaptor, adaptor)
        start = race.clock()
        with distiller:
            distiller.train(
                _optimizer(race, student, default),
                loader,
                num_epochs=epochs,
                scheduler_class=get_linear_schedule_with_warmup,
                scheduler_args=_schedule(race, loader),
                max_grad_norm=settings.max_grad_norm,
                output_hidden_states=True,
            )
        return race.clock() - start, student


def torchdistill(race: Race, seed: int, default: bool) -> Run:
    """Distil by torchdistill's DistillationBox."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.optim.registry import register_optimizer, register_scheduler

    torch.manual_seed(seed)
    student, teacher = _models(race, default)
    loader = race.loader("longest" if default else "bucketed", seed)
    register_optimizer(key="ours")(lambda parameters, **_: _optimizer(race, student, default))
    register_scheduler(key="linear")(get_linear_schedule_with_warmup)

    def side(model: PreTrainedModel, layers: list[int]) -> dict[str, Any]:
        hooks = [_path(model, layer) for layer in layers] + ["classifier"]
        return {"forward_proc": "forward_batch_only_as_kwargs", "forward_hook": {"output": hooks}}

    def output(model: PreTrainedModel, layer: int, of_teacher: bool) -> dict[str, Any]:
        return {"is_from_teacher": of_teacher, "module_path": _path(model, layer), "io": "output"}

    factors = race.factors
    logits = {f"{who}_module_path": "classifier" for who in ("student", "teacher")}
    logits |= {f"{who}_module_io": "output" for who in ("student", "teacher")}
    shares = {"alpha": factors["gold"], "beta": factors["logits"], "temperature": TEMPERATURE}
    terms: dict[str, Any] = {"kd": {"criterion": {"key": "KDLoss", "kwargs": {**logits, **shares}}, "weight": 1.0}}
    for s, t in race.pairs:
        sides = {"input": output(student, s, False), "target": output(teacher, t, True)}
        terms[f"hidden{s}"] = {
            "criterion": {"key": "MSELoss", "kwargs": {}},
            "criterion_wrapper": {"key": "SimpleLossWrapper", "kwargs": sides},
            "weight": factors["hidden"] / 3,
        }
    config = {
        "num_epochs": round(race.training.epochs),
        "teacher": {**side(teacher, [t for _, t in race.pairs]), "requires_grad": False},
        "student": side(student, [s for s, _ in race.pairs]),
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
        "optimizer": {"key": "ours", "kwargs": {}, "max_grad_norm": race.training.max_grad_norm},
        "scheduler": {"key": "linear", "kwargs": _schedule(race, loader), "scheduling_step": 1},
    }
    box = get_distillation_box(teacher, student, {}, config, race.device, None, False, 1.0)
    start = race.clock()
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for batch in loader:
            on_device = {name: value.to(race.device) for name, value in batch.items()}
            labels = on_device.pop("labels")
            loss = box.forward_process(on_device, labels, None)
            box.post_forward_process(loss=loss)
            if default:
                loss.item()
        box.post_epoch_process()
    return race.clock() - start, student


def trainer(race: Race, seed: int, default: bool) -> Run:
    """Distil by transformers' Trainer with the teacher in its loss."""
    student, teacher = _models(race, default)
    loader, factors, settings = _loader_of_trainer(race, seed, default), race.factors, race.training

    class Distillation(Trainer):
        def get_train_dataloader(self) -> DataLoader[Any]:
            return self.accelerator.prepare(loader)

        def compute_loss(
            self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            own = model(**inputs, output_hidden_states=True)
            with torch.no_grad():
                given = teacher(**inputs, output_hidden_states=True)
            loss = factors["gold"] * own.loss
            loss = loss + factors["logits"] * TEMPERATURE**2 * divergence(own.logits, given.logits)
            mask = inputs["attention_mask"][..., None]
            for s, t in race.pairs:
                difference = (own.hidden_states[s] - given.hidden_states[t]).square() * mask
                mean = difference.sum() / (mask.sum() * difference.size(-1))
                loss = loss + factors["hidden"] / 3 * mean
            return (loss, own) if return_outputs else loss

    with tempfile.TemporaryDirectory() as folder:
        quiet: dict[str, Any] = {} if default else {"save_strategy": "no", "logging_strategy": "no"}
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            use_cpu=race.device.type == "cpu",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
            **quiet,
        )
        run = Distillation(model=student, args=arguments, train_dataset=loader.dataset)
        run.remove_callback(PrinterCallback)
        if not default:
            run.optimizer = make_optimizer(student, settings.learning_rate, settings.weight_decay)
        start = race.clock()
        run.train()
        return race.clock() - start, student


PEERS: dict[str, tuple[str, Callable[..., Run]]] = {
    "TextBrewer": ("textbrewer", textbrewer),
    "torchdistill": ("torchdistill", torchdistill),
    "HF Trainer": ("transformers", trainer),
}


def version(distribution: str) -> str | None:
    """Return the version of a library that is installed, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _models(race: Race, default: bool) -> tuple[PreTrainedModel, PreTrainedModel]:
    dtype = torch.float32 if default else race.dtype
    return race.student(dtype), race.teacher_model(dtype)


def _optimizer(race: Race, student: PreTrainedModel, default: bool) -> AdamW:
    settings = race.training
    if default:
        return AdamW(student.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return make_optimizer(student, settings.learning_rate, settings.weight_decay)


def _schedule(race: Race, loader: DataLoader[Any]) -> dict[str, int]:
    total = round(race.training.epochs) * len(loader)
    return {"num_warmup_steps": round(race.training.warmup * total), "num_training_steps": total}


def _loader_of_trainer(race: Race, seed: int, default: bool) -> DataLoader[Any]:
    torch.manual_seed(seed)
    padding: Padding = "longest possible" if default else "bucketed"
    return race.loader(padding, seed)


def _path(model: PreTrainedModel, layer: int) -> str:
    return f"{model.base_model_prefix}.encoder.layer.{layer - 1}"
