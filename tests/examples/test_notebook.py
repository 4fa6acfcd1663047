"""The notebook, executed as it is but for the number of epochs."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "transfer_learning.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_it_is_committed_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") for cell in cells)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is left in its namespace."""
    namespace: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.delenv("TINYSIGHT_VGG16_WEIGHTS", raising=False)
        for cell in code_cells():
            exec(compile(cell.replace("EPOCHS = 10", "EPOCHS = 3"), NOTEBOOK, "exec"), namespace)
        for picture in Path("runs/notebook").glob("*/c*.png"):
            with Image.open(picture) as opened:
                opened.verify()
    return namespace


def test_both_models_learn_digits(executed: dict[str, Any]) -> None:
    accuracies = {name: run.result.test.value for name, run in executed["runs"].items()}
    assert accuracies.keys() == {"small CNN", "edge_m, fine-tuned"}
    assert min(accuracies.values()) > 0.75


def test_every_artifact_is_exported_and_timed(executed: dict[str, Any]) -> None:
    assert all(
        report.rejection_reason is None
        for export in executed["exports"].values()
        for report in export.reports
    )
    assert len(executed["latency"]) == 8  # two models, two recipes, two formats
    assert executed["accuracy"].keys() == executed["latency"].keys()


def test_the_conclusion_comes_from_the_figures(executed: dict[str, Any]) -> None:
    (conclusion,) = executed["conclusions"]
    small, tuned = (executed["predicted"][name] == executed["truth"] for name in executed["runs"])
    difference = tuned.mean() - small.mean()
    if "no difference" not in conclusion:
        assert (
            f"{abs(difference):.1%} {'more' if difference > 0 else 'less'} accurate" in conclusion
        )
    assert "times the latency" in conclusion
