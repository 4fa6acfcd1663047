"""`mixed_measured`: float32 or int8 for each layer, whichever makes the graph fastest here.

No sum of layer times tells which: a layer in float32 brings a conversion at each of its ends, and
may take a pooling with it out of the layout that int8 runs in. So graphs are timed whole, all of a
round interleaved, against the fastest so far. A round flips every layer; its fastest graph is timed
once more, since the fastest of many owes some of its lead to chance, and becomes the new best only
if it is significantly faster and its accuracy on the validation images holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from export.settings import TimingTrial
from tinysight.benchmark.timing import time_interleaved
from tinysight.preprocess import Pixels
from tinysight.stats import PairedRatio, paired_ratio

CALLS = 600
SECONDS = 1.0
"""For each graph of a round, at most."""
ROUNDS = 6
"""At most; each takes as many graphs as there are layers."""

Run = Callable[[Pixels], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a search chose, and all that it timed."""

    float_layers: tuple[str, ...]
    trials: tuple[TimingTrial, ...]


def search(
    layers: Sequence[str],
    *,
    open_graph: Callable[[Sequence[str]], Run],
    rejection_reason: Callable[[Sequence[str]], str | None],
    image: Pixels,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> Choice:
    """Finds the layers to leave in float32, starting from none.

    Args:
        layers: names, in the graph's order.
        open_graph: loads the graph with these layers in float32, for one thread.
        rejection_reason: why that graph's accuracy is not good enough; None where it is.
        image: uint8 (1, h, w, 3), what graphs are timed on.
        progress: told the round, the graphs loaded in it, and how many there will be.
    """
    best: tuple[str, ...] = ()
    runs: dict[tuple[str, ...], Run] = {best: open_graph(best)}
    trials: list[TimingTrial] = []
    for number in range(1, ROUNDS + 1):
        rivals = _rivals(layers, best, {trial.float_layers for trial in trials})
        if not rivals:
            break
        for done, rival in enumerate(rivals):
            progress(f"mixing float32 and int8, round {number}:", done, len(rivals))
            runs.setdefault(rival, open_graph(rival))
        ratios = _against(best, rivals, runs, image)
        promising = sorted(
            (rival for rival in rivals if ratios[rival][1].high < 1),
            key=lambda rival: ratios[rival][1].value,
        )
        winner = next(
            (
                rival
                for rival in promising
                if _against(best, [rival], runs, image)[rival][1].high < 1
                and rejection_reason(rival) is None
            ),
            None,
        )
        trials += [
            _trial(rival, *ratios[rival], _verdict(rival, winner, promising, ratios[rival][1]))
            for rival in rivals
        ]
        if winner is None:
            break
        best = winner
    return Choice(best, tuple(trials))


def trial_rows(trials: Sequence[TimingTrial]) -> list[tuple[str, str, str, str]]:
    """The trials as rows of text: layers in float32, microseconds, ratio, verdict."""
    return [
        (
            ", ".join(trial.float_layers) or "none",
            f"{trial.median_us:.1f}",
            f"{trial.ratio.value:.3f} ({trial.ratio.low:.3f} to {trial.ratio.high:.3f})",
            trial.verdict,
        )
        for trial in trials
    ]


def _trial(
    float_layers: tuple[str, ...], median_us: float, ratio: PairedRatio, verdict: str
) -> TimingTrial:
    """Rounded: what follows is noise, and would fill provenance.json."""
    rounded = PairedRatio(*(round(value, 4) for value in (ratio.value, ratio.low, ratio.high)))
    return TimingTrial(float_layers, round(median_us, 2), rounded, verdict)


def _rivals(
    layers: Sequence[str], best: tuple[str, ...], seen: set[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """The best with one layer flipped; in the first round also all layers in float32."""
    choices = [tuple(x for x in layers if (x in best) != (x == layer)) for layer in layers]
    if not best:
        choices.append(tuple(layers))
    return [choice for choice in dict.fromkeys(choices) if choice != best and choice not in seen]


def _against(
    best: tuple[str, ...],
    rivals: Sequence[tuple[str, ...]],
    runs: Mapping[tuple[str, ...], Run],
    image: Pixels,
) -> dict[tuple[str, ...], tuple[float, PairedRatio]]:
    """Median in microseconds, and ratio to the best, of each rival."""
    calls = {str(i): partial(runs[which], image) for i, which in enumerate((best, *rivals))}
    taken = time_interleaved(calls, CALLS, SECONDS)
    found = {}
    for i, rival in enumerate(rivals, start=1):
        # A slow graph gets fewer calls; the calls that both had are compared.
        n = min(len(taken[str(i)]), len(taken["0"]))
        ratio = paired_ratio(taken[str(i)][:n], taken["0"][:n])
        found[rival] = float(np.median(taken[str(i)])) / 1e3, ratio
    return found


def _verdict(
    rival: tuple[str, ...],
    winner: tuple[str, ...] | None,
    promising: Sequence[tuple[str, ...]],
    ratio: PairedRatio,
) -> str:
    if rival == winner:
        return "new best"
    if rival in promising:
        return "faster, but not the fastest that stays so when timed again and keeps its accuracy"
    return "within noise" if ratio.within_noise else "slower"
