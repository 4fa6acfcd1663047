"""A training on the terminal: a progress bar, and a line for each finished epoch."""

from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tinysight.console import shell_command
from training.data import Dataset
from training.data.splits import FEW_TEST_IMAGES
from training.run_folder import Run


class TrainingConsole:
    """Implements `training.progress.Progress` with rich."""

    def __init__(self) -> None:
        self._console = Console(
            # Not markup: a folder may be named "cats[old]".
            stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False
        )  # fmt: skip
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[count]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,  # else it leaves an empty line
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
            if run.result.test.n < FEW_TEST_IMAGES:
                self.print(_note_on_few_images(run))
        self.print(f"Trained in {run.result.seconds.training:.0f} s. Written to {run.folder}/:")
        self.print("  " + ", ".join(sorted(path.name for path in run.folder.iterdir())))
        out = Path("bundles") / run.folder.name
        self.print(
            f"Next: {shell_command('python', '-m', 'export', 'build', run.folder, '--out', out)}"
        )


def _note_on_few_images(run: Run) -> str:
    record = run.record
    words = ["crossval", record.recipe.model, "--data", record.data.source]
    if record.data.shape[0] != 32:
        words += ["--size", str(record.data.shape[0])]
    command = shell_command("python", "-m", "training", *words, "--out", f"{run.folder}-crossval")
    return f"Note: so few leave a wide interval. All training images validate once in: {command}"
