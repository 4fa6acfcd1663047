"""What a person sees of a training: one moving bar, and a line for each finished epoch."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tinysight.stats import Accuracy
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
            self.say("Stopped. The same command with --resume goes on after the last epoch.")

    def say(self, line: str) -> None:
        self._console.print(line)

    def count(self, what: str, done: int, total: int) -> None:
        """Shows a count; a total of 0 is an unknown one."""
        if self._task is None:
            self._task = self._bar.add_task(what, count="")
        count = f"{done:,} of {total:,}" if total else f"{done:,}"
        self._bar.update(
            self._task, description=what, completed=done, total=total or None, count=count
        )

    def started(self, done: int, epochs: int) -> None:
        self._training = True
        if done:
            self.say(f"Going on after epoch {done} of {epochs}.")

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        self.say(
            f"epoch {epoch + 1:>3}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.2%}  "
            f"validation loss {row['val_loss']:.4f}  accuracy {row['val_accuracy']:.2%}  "
            f"{row['seconds']:.1f} s"
        )

    def say_data(self, dataset: Dataset) -> None:
        parts = ", ".join(f"{len(indices):,} {name}" for name, indices in dataset.parts.items())
        self.say(f"{dataset.title}: {len(dataset.labels)} classes, {parts}")
        for note in dataset.notes:
            self.say(f"Note: {note}.")

    def say_result(self, run: Run) -> None:
        for name, title in (("validation", "Validation"), ("test", "Test")):
            entry = run.record[name]
            self.say(f"{title} accuracy {Accuracy(entry['correct'], entry['n'])} images")
        self.say(f"Trained in {run.record['seconds']['training']:.0f} s. Written to {run.folder}/:")
        self.say("  " + ", ".join(sorted(path.name for path in run.folder.iterdir())))
        self.say(f"Next: python -m export build {run.folder} --out bundles/{run.folder.name}")
