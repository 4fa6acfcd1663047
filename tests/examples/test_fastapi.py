"""The server of the example, asked over HTTP as a client does."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tinysight import Classifier
from tinysight.benchmark.sample_photo import jpeg

pytest.importorskip("fastapi", reason="needs FastAPI: pip install fastapi httpx python-multipart")
pytest.importorskip("multipart", reason="needs python-multipart")
testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx")

APP = Path(__file__).resolve().parents[2] / "examples" / "fastapi" / "app.py"


@pytest.fixture(scope="module")
def client() -> Any:
    spec = importlib.util.spec_from_file_location("app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return testclient.TestClient(module.app)


def test_a_picture_is_answered_as_the_classifier_answers(client: Any) -> None:
    answer = client.post("/", files={"picture": jpeg()}, params={"top_k": 3})
    expected = Classifier.load().classify(jpeg(), top_k=3)
    assert answer.status_code == 200
    assert answer.json()["label"] == expected.label
    assert [tuple(one) for one in answer.json()["top"]] == list(expected.top)


@pytest.mark.parametrize("content", [b"", b"no picture", jpeg()[:200]])
def test_what_is_no_picture_is_the_senders_mistake(content: bytes, client: Any) -> None:
    answer = client.post("/", files={"picture": content})
    assert answer.status_code == 422
    assert f"{len(content)} bytes" in answer.json()["detail"]
