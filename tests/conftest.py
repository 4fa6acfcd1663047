"""What holds for every test: nothing is written into the user's own cache."""

from collections.abc import Iterator

import pytest

import tinysight as tinysight  # turns onnxruntime's telemetry off, before any test imports it


@pytest.fixture(autouse=True, scope="session")
def own_cache_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
