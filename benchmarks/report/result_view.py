"""What the page shows of one result: findings, table, charts."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from benchmarks.report import analysis, svg
from benchmarks.report.device_section import DeviceSection, device_section
from benchmarks.report.layer_charts import LayerChart, layer_charts
from benchmarks.report.text import configuration_name, metadata
from benchmarks.sweep.result import SweepResult
from tinysight.benchmark.results import Measurement

MAX_OPACITY = 0.32
"""Of the background of the largest value in the throughput table."""


@dataclass(frozen=True, slots=True)
class ThroughputTable:
    """Images per second by variant (row) and configuration (column)."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """A variant's key, and for each configuration the text and the background's opacity."""


@dataclass(frozen=True, slots=True)
class ResultView:
    """One section of the page."""

    name: str
    findings: list[str]
    configuration: str
    """Threads and batch size of the table."""
    rows: list[analysis.Row]
    distributions: Markup
    throughput: ThroughputTable | None
    layers: list[LayerChart]
    device: DeviceSection | None
    metadata: list[tuple[str, str]]

    @property
    def compared(self) -> bool:
        """Whether any model has a reference, and the table the columns that compare with it."""
        return any(row.reference is not None for row in self.rows)


def result_view(result: SweepResult, name: str, colours: Mapping[str, int]) -> ResultView:
    """
    Args:
        result: what is shown.
        name: the device's name, unique on the page.
        colours: by engine, the number of its colour.
    """
    rows = analysis.rows(result)
    return ResultView(
        name,
        analysis.findings(rows),
        configuration_name(rows[0].measurement),
        rows,
        svg.distributions(
            [row.measurement for row in rows], lambda key: colours[result.variant(key).engine]
        ),
        _throughput(result),
        layer_charts(result.layers),
        None if result.benchmark is None else device_section(result.benchmark),
        metadata(result),
    )


def by_configuration(result: SweepResult) -> list[Measurement]:
    """All measurements, those with fewest threads and smallest batch first."""
    return sorted(result.measurements, key=lambda m: (m.threads, m.batch))


def format_interval(measurement: Measurement) -> str:
    """The interval of the median, in microseconds; empty with too few processes."""
    interval = measurement.interval_us
    return "" if interval is None else "{:.1f} to {:.1f}".format(*interval)


def _throughput(result: SweepResult) -> ThroughputTable | None:
    """None where there is but one configuration."""
    configurations = list(dict.fromkeys(map(configuration_name, by_configuration(result))))
    if len(configurations) < 2:
        return None
    found = {(m.variant, configuration_name(m)): m.images_per_second for m in result.measurements}
    most = max(found.values())

    def cell(variant: str, configuration: str) -> tuple[str, str]:
        throughput = found.get((variant, configuration))
        if throughput is None:
            return "", "0"
        return f"{throughput:,.0f}", f"{MAX_OPACITY * throughput / most:.2f}"

    return ThroughputTable(
        tuple(configurations),
        tuple(
            (m.variant, tuple(cell(m.variant, configuration) for configuration in configurations))
            for m in result.base
        ),
    )
