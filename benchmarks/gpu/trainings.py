"""The trainings of the report, each of which goes on where it was stopped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.gpu.cards import peak_flops
from tinysight.stats import Accuracy
from training.api import prepare
from training.compare.report import write_report
from training.compare.runs import run_all
from training.console import TrainingConsole
from training.data import Dataset
from training.models.macs import multiply_accumulates
from training.models.registry import spec_of
from training.run_folder import Run, RunError, load_run, read_history
from training.tf_keras_setup import keras
from training.train import train

_FLOPS_PER_MAC = 6
"""Of a training step: a multiplication and an addition forward, and twice that backward."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every training needs."""

    dataset: Dataset
    runs: Path
    """The folder of the run folders."""
    out: Path
    """The folder of the report."""
    weights: Path | None
    """VGG16's ImageNet weights; see `training.models.vgg16.read_weights`."""
    console: TrainingConsole


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A finished training as the report has it."""

    name: str
    """Of its run folder."""
    precision: str
    batch_size: int
    epochs: int
    seconds: float
    """Of all epochs, with the teachers' logits or a frozen base's features."""
    images_per_s: float
    """Of the median epoch after the first, validation and checkpoint included. With a frozen base,
    of its features."""
    peak_share: float | None
    """Of the cards' peak, counting the model's multiply-accumulates; None where that is not known,
    in float32, and with a frozen base."""
    validation: Accuracy
    test: Accuracy | None

    @classmethod
    def of(cls, name: str, run: Run) -> "TrainedRun":
        recipe, result = run.record.recipe, run.result
        epochs = [row["seconds"] for row in read_history(run.folder)]
        speed = run.record.data.splits.train.n / median(epochs[1:] or epochs)
        peak = peak_flops(result.device.gpus)
        share = None
        if (
            peak is not None
            and result.device.precision != "float32"
            and spec_of(recipe.model).frozen_base is None
        ):
            macs = multiply_accumulates(keras.models.load_model(run.model_file, compile=False))
            share = speed * _FLOPS_PER_MAC * macs / peak
        return cls(
            name=name,
            precision=result.device.precision,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            seconds=result.seconds.training,
            images_per_s=speed,
            peak_share=share,
            validation=result.validation,
            test=result.test,
        )


def comparison(work: Work) -> list[TrainedRun]:
    """The notebook's comparison, with VGG16 frozen and fine-tuned, and its own report."""
    compared = run_all(work.dataset, work.runs, work.console, work.weights)
    command = "python -m benchmarks gpu"
    write_report(compared, work.dataset, work.out / "comparison", command)
    return [TrainedRun.of(one.key, one.run) for one in compared]


def airbench(work: Work) -> list[TrainedRun]:
    """airbench's network, from random weights."""
    return [_trained(work, "airbench")]


def distilled(work: Work) -> list[TrainedRun]:
    """edge_m from random weights, distilled from the fine-tuned VGG16 and airbench."""
    return [_trained(work, "edge_m", "vgg16_finetuned", "airbench")]


TRAININGS: Mapping[str, Callable[[Work], list[TrainedRun]]] = {
    "comparison": comparison,
    "airbench": airbench,
    "edge_m": distilled,
}
"""By the name of the step, in their order."""


def _trained(work: Work, model: str, *teachers: str) -> TrainedRun:
    runs = [load_run(work.runs / teacher) for teacher in teachers]
    out = work.runs / model
    job = prepare(model, work.dataset, out, start="none", teachers=runs)
    run = train(replace(job, weights=work.weights, if_exists="resume"), work.console)
    if run is None:
        raise RunError("gpu does not work with several workers")
    return TrainedRun.of(model, run)
