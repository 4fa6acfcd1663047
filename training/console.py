"""A training on the terminal: a progress bar, and a line for each finished epoch."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.data import Dataset
from training.run_folder import Run


class TrainingConsole:
    """Implements `training.progress.Progress` with rich."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._training = False

    def __enter__(self) -> "TrainingConsole":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if kind is KeyboardInterrupt and self._training:
            self.print("Stopped. The same command with --resume continues after the last epoch.")

    def print(self, line: str) -> None:
        self._console.print(line)

    def count(self, what: str, done: int, total: int) -> None:
        """Updates the progress bar; a total of 0 is unknown."""
        if self._task is None:
            self._task = self._bar.add_task(what, count="")
        count = f"{done:,} of {total:,}" if total else f"{done:,}"
        self._bar.update(
            self._task, description=what, completed=done, total=total or None, count=count
        )

    def started(self, done: int, epochs: int) -> None:
        self._training = True
        if done:
            self.print(f"Resuming after epoch {done} of {epochs}.")

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        self.print(
            f"epoch {epoch + 1:>3}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.2%}  "
            f"validation loss {row['val_loss']:.4f}  accuracy {row['val_accuracy']:.2%}  "
            f"{row['seconds']:.1f} s"
        )

    def print_dataset(self, dataset: Dataset) -> None:
        parts = ", ".join(f"{len(indices):,} {name}" for name, indices in dataset.parts.items())
        self.print(f"{dataset.title}: {len(dataset.labels)} classes, {parts}")
        for note in dataset.notes:
            self.print(f"Note: {note}.")

    def print_gpus(self) -> None:
        """Which GPUs there are, or why TensorFlow uses none; nothing on a machine without one."""
        from training.gpu import GpuReport  # here, since `split` shows a console without TensorFlow

        line = GpuReport.of_this_machine().line()
        if line is not None:
            self.print(line)

    def print_result(self, run: Run) -> None:
        self.print(f"Validation accuracy {run.result.validation} images")
        if run.result.test is not None:
            self.print(f"Test accuracy {run.result.test} images")
        self.print(f"Trained in {run.result.seconds.training:.0f} s. Written to {run.folder}/:")
        self.print("  " + ", ".join(sorted(path.name for path in run.folder.iterdir())))
        self.print(f"Next: python -m export build {run.folder} --out bundles/{run.folder.name}")
