"""Stores of versions: pull, rollback, watching, and what happens when something goes wrong."""

import functools
import json
import pickle
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.updates import TINY, kill_everywhere, renamed, swap_under_load
from tinysight import Classifier, SignatureError, UpdateError
from tinysight.camera.frames import Frame
from tinysight.camera.predictions import classify_frames
from tinysight.cli.main import main
from tinysight.errors import BundleError
from tinysight.signing.keys import TRUSTED_KEYS_VARIABLE
from tinysight.store.layout import CURRENT, VERSIONS, Current, read_current, write_current
from tinysight.store.watch import StoreWatcher
from tinysight.updates.source import UrlSource, open_source
from tinysight.updates.update import pull, rollback

BLACK = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUSTED_KEYS_VARIABLE, raising=False)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's folder."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose version is 1, and was 0 before."""
    folder = tmp_path_factory.mktemp("filled")
    for version in range(2):
        pull(str(renamed(folder / str(version), version)), folder / "store")
    return folder / "store"


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(filled, tmp_path / "filled"))


def wait_for(condition: Callable[[], bool]) -> None:
    """Asks again and again, for a minute at most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_pull_and_rollback_on_the_command_line(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    renamed(tmp_path / "one", 1)
    renamed(tmp_path / "two", 2)
    assert main(["pull", f"{server}/one", store, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["changed"], first["previous"], first["key"]) == (True, None, None)
    assert main(["pull", f"{server}/two/", store, "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["previous"] == first["version"]
    assert main(["pull", f"{server}/two", store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert Classifier.load(store).labels[0] == "red 2"
    assert main(["info", "--bundle", store]) == 0
    versions = {one.name for one in (tmp_path / "store" / VERSIONS).iterdir()}
    assert versions == {first["version"], second["version"]}
    assert main(["rollback", store]) == 0
    assert Classifier.load(store).labels[0] == "red 1"
    capsys.readouterr()
    for words, line in (
        (["rollback", store], "no version before"),
        (["pull", f"{server}/two", store], "was rolled back from here"),
    ):
        assert main(words) == 1
        assert line in capsys.readouterr().err
    assert main(["pull", f"{server}/two", store, "--force"]) == 0
    assert Classifier.load(store).labels[0] == "red 2"


@pytest.mark.parametrize("damage", ["missing", "changed", "longer", "golden", "json", "label"])
def test_what_is_damaged_leaves_the_store_as_it_was(
    damage: str, server: str, store: Path, tmp_path: Path
) -> None:
    bad = renamed(tmp_path / "bad", 2)
    before = contents(store)
    description = json.loads((bad / "bundle.json").read_text())
    model = bad / "float32.onnx"
    if damage == "missing":
        model.unlink()
    elif damage == "changed":
        model.write_bytes(model.read_bytes()[:-1] + b"\0")
    elif damage == "longer":
        model.write_bytes(model.read_bytes() + b"\0")
    elif damage == "golden":
        description["artifacts"][0]["golden"]["logits"][0][0] += 1.0
    elif damage == "label":
        description["labels"] = ["one", "two"]
    (bad / "bundle.json").write_text("{" if damage == "json" else json.dumps(description))
    for source in (str(bad), f"{server}/bad"):
        with pytest.raises((UpdateError, BundleError)):
            pull(source, store)
        assert contents(store) == before


def test_a_damaged_current_version_is_mended_by_pulling_it_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    update = pull(str(TINY), store)
    (store / VERSIONS / update.version / "float32.onnx").write_bytes(b"worn out")
    with pytest.raises(BundleError):
        Classifier.load(store)
    assert not pull(str(TINY), store).changed
    assert Classifier.load(store).classify(BLACK)


def test_a_signature_is_required_where_keys_are_trusted(server: str, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tinysight.signing.keys import write_key_pair
    from tinysight.signing.signature import sign_bundle

    private, public, key = write_key_pair(tmp_path / "fleet")
    store, source = tmp_path / "store", renamed(tmp_path / "one", 1)
    with pytest.raises(SignatureError, match="is not signed"):
        pull(f"{server}/one", store, keys=public)
    assert not (store / CURRENT).exists()
    sign_bundle(source, private)
    first = pull(f"{server}/one", store, keys=public)
    assert first.key == key.id
    assert Classifier.load(store, require_signature=public).labels[0] == "red 1"
    sign_bundle(source, write_key_pair(tmp_path / "new")[0])  # signed anew is another version
    second = pull(f"{server}/one", store, keys=public)
    assert (second.changed, second.previous) == (True, first.version)


def test_a_named_key_counts_and_not_those_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    from tinysight.signing.keys import write_key_pair
    from tinysight.signing.signature import sign_bundle

    private, public, key = write_key_pair(tmp_path / "fleet")
    _, device, _ = write_key_pair(tmp_path / "device")
    monkeypatch.setenv(TRUSTED_KEYS_VARIABLE, str(device))
    source = renamed(tmp_path / "one", 1)
    sign_bundle(source, private)
    with pytest.raises(SignatureError):
        pull(str(source), tmp_path / "store")
    assert pull(str(source), tmp_path / "store", keys=public).key == key.id


def test_http_from_elsewhere_needs_a_signature(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="use https"):
        pull("http://models.example/doorbell", tmp_path / "store")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("source", ["ftp://host/x", "file:///etc", "https://", "http://h/x?y", ""])
def test_other_addresses_are_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(UpdateError):
        pull(source or str(tmp_path / "nowhere"), tmp_path / "store")


def test_what_a_server_sends_is_bounded(server: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(2000))
    source = open_source(server)
    assert source.read("big", 2000) == bytes(2000)
    assert source.read("absent", 2000) is None
    with pytest.raises(UpdateError, match="allowed are 1,999"):
        source.read("big", 1999)
    with pytest.raises(UpdateError, match="not allowed"):
        UrlSource(f"{server}/moved").read("big", 2000)


def test_two_at_once_are_told(store: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (store / ".lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UpdateError, match="another process"):
            pull(str(TINY), store)
        with pytest.raises(UpdateError, match="another process"):
            rollback(store)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "version": "../../etc"}', "[]"])
def test_a_damaged_store_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / CURRENT).write_text(text)
    for words in (["info", "--bundle"], ["rollback"], ["pull", str(TINY)]):
        assert main([*words, str(tmp_path)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert CURRENT in line


UNFINISHED = (".current.json.ab_cd012", f"versions/.{'a' * 32}.new-ab_cd012/bundle.json")
"""What a killed `pull` leaves."""


def write_all(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


@pytest.mark.parametrize(
    "names",
    [
        ("notes.txt",),
        (".env.local", ".venv.old/pyvenv.cfg"),
        ("versions/v1/app",),
        (f"versions/{'a' * 32}/bundle.json", "versions/.git.d/config"),
        (".current.json.bak",),
    ],
)
def test_a_folder_of_other_things_is_refused_and_left_alone(
    names: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    write_all(folder, names)
    before = sorted(folder.rglob("*"))
    assert main(["pull", str(TINY), str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not a store of bundles: it holds" in line
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("names", [(), (".lock", *UNFINISHED, f"versions/{'b' * 32}/bundle.json")])
def test_an_empty_folder_and_one_whose_first_pull_was_killed_become_stores(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    write_all(store, names)
    (store / "lost+found").mkdir()  # as in a file system of its own
    version = pull(str(TINY), store).version
    assert {one.name for one in store.iterdir()} == {".lock", "lost+found", CURRENT, VERSIONS}
    assert [one.name for one in (store / VERSIONS).iterdir()] == [version]


def test_only_what_pull_wrote_is_deleted_from_a_store(store: Path) -> None:
    mine = (".env.local", ".current.json.bak", "versions/mine/a", "versions/.mine.new-ab_cd012/a")
    write_all(store, (*mine, *UNFINISHED))
    pull(str(TINY), store)
    assert all((store / name).read_text() == "mine" for name in mine)
    assert not any((store / name).exists() for name in UNFINISHED)


def test_what_is_no_store_cannot_be_watched(tmp_path: Path) -> None:
    for path in (None, TINY, tmp_path):
        with pytest.raises(UpdateError):
            Classifier.load(path, watch=True)


def test_no_answer_is_lost_while_versions_change(tmp_path: Path) -> None:
    """`python -m tests.fuzz.updates swaps` makes 100."""
    load = swap_under_load(1, tmp_path)
    assert (load.swaps, load.wrong[:3]) == (1, [])
    assert load.answers > 100


def test_a_version_that_does_not_load_is_passed_over(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = StoreWatcher(store, Classifier.load, interval_s=0.0)
    now = read_current(store)
    assert now.previous is not None
    shutil.copytree(store / VERSIONS / now.previous, store / VERSIONS / ("0" * 32))
    (store / VERSIONS / ("0" * 32) / "float32.onnx").write_bytes(b"x")
    write_current(store, Current("0" * 32, now.version))
    wait_for(lambda: watcher().labels[0] == "red 1" and bool(caplog.records))
    assert "is not used" in caplog.text
    write_current(store, Current(now.previous, now.version))
    wait_for(lambda: watcher().labels[0] == "red 0")


def test_frames_of_a_watched_store_follow_it(store: Path) -> None:
    watched = Classifier.load(store, watch=True)

    def frames() -> Iterator[Frame]:
        yield Frame(0, 0.0, BLACK)
        rollback(store)
        wait_for(lambda: watched.labels[0] == "red 0")
        yield Frame(1, 0.1, BLACK)

    first, second = [answer for _, answer in classify_frames(watched, frames(), smoothing=0.9)]
    assert (first.top[0][0][-1], second.top[0][0][-1]) == ("1", "0")
    assert second.probability == Classifier.load(store).classify(BLACK).probability


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_each_version_is_asked_for_its_own_energy_score(smoothing: float, tmp_path: Path) -> None:
    """Both know the same classes; the black frame's score is ln 3, and the second wants more."""
    store = tmp_path / "store"
    for least in (1.0, 1.2):
        folder = renamed(tmp_path / str(least), 0)
        content = json.loads((folder / "bundle.json").read_text())
        abstention = {"min_energy_score": least, "rule": "", "coverage": 1.0, "accuracy": 1.0}
        (folder / "bundle.json").write_text(json.dumps({**content, "abstention": abstention}))
        pull(str(folder), store)
    watched = Classifier.load(store, watch=True)
    before = watched.current()

    def frames() -> Iterator[Frame]:
        yield Frame(0, 0.0, BLACK)
        rollback(store)
        wait_for(lambda: watched.current() is not before)
        yield Frame(1, 0.1, BLACK)

    answers = classify_frames(watched, frames(), smoothing=smoothing, min_confidence="auto")
    assert [answer.label for _, answer in answers] == [None, "red 0"]


def test_a_watching_classifier_pickles_as_one(store: Path) -> None:
    again = pickle.loads(pickle.dumps(Classifier.load(store, watch=True)))
    assert again.labels[0] == "red 1"
    rollback(store)
    wait_for(lambda: again.labels[0] == "red 0")


def test_classify_takes_a_store(
    store: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--watch", "--bundle"):
        assert main(["classify", option, str(store), str(pictures / "red.png")]) == 0
        assert "red 1" in capsys.readouterr().out


def test_a_kill_leaves_the_old_version_or_the_new_one(tmp_path: Path) -> None:
    """`python -m tests.fuzz.updates kills` tries every moment of pull and rollback."""
    kills, findings = kill_everywhere("rollback", tmp_path, lambda last: last in (2, 3, 99))
    assert (kills, findings) == (2, [])
