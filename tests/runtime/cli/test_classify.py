"""The command line: what it prints where, its exit codes, and never a traceback."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from tinysight.bundle import FORMAT
from tinysight.cli.main import main
from tinysight.image_files import image_files
from tinysight.pictures.formats import NAMES


class Output(NamedTuple):
    code: int
    out: list[str]
    err: list[str]


Run = Callable[..., Output]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process; its lines on stdout and stderr."""

    def call(*argv: object) -> Output:
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Output(code, captured.out.splitlines(), captured.err.splitlines())

    return call


@pytest.fixture
def classify(run: Run, tiny: Path) -> Run:
    return lambda *argv: run("classify", "--bundle", tiny, *argv)


def test_a_file_gets_a_line_with_name_label_and_probability(classify: Run, pictures: Path) -> None:
    code, out, err = classify(pictures / "red.png")
    assert (code, err) == (0, [])
    assert len(out) == 1
    name, label, percent, sign = out[0].replace("%", " %").split()
    assert (name, label, sign) == (str(pictures / "red.png"), "red", "%")
    assert 90 < float(percent) <= 100


def test_a_folder_stands_for_all_images_below_it(classify: Run, pictures: Path) -> None:
    (pictures / "notes.txt").write_text("no image")
    (pictures / ".hidden").mkdir()
    shutil.copy(pictures / "red.png", pictures / ".hidden" / "red.png")
    code, out, err = classify(pictures)
    assert (code, err) == (0, [])
    assert [line.split()[1] for line in out] == ["green", "red", "blue"]


def test_a_folders_images_are_sorted_whatever_the_file_system_says(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    @contextlib.contextmanager
    def last_first(place: str) -> Iterator[list[os.DirEntry[str]]]:
        with listed(place) as entries:
            yield sorted(entries, key=lambda entry: entry.name, reverse=True)

    monkeypatch.setattr(os, "scandir", last_first)
    names = [Path(one).name for one in image_files(pictures) if isinstance(one, str)]
    assert names == ["green.bmp", "red.png", "blue.png"]


def test_a_pattern_that_the_shell_left_is_expanded(classify: Run, pictures: Path) -> None:
    code, out, _ = classify(pictures / "*.png", pictures / "**" / "b*.png")
    assert code == 0
    assert [line.split()[1] for line in out] == ["red", "blue"]


def test_on_a_terminal_the_shipped_model_says_what_it_knows(
    run: Run, tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = run("classify", pictures / "red.png")
    assert (code, len(out)) == (0, 1)
    assert err == [
        "edge_m knows airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck; "
        "--bundle names another."
    ]
    assert run("classify", "--json", pictures / "red.png").err == []
    assert run("classify", "--bundle", tiny, pictures / "red.png").err == []


def test_a_file_whose_name_is_a_pattern_is_itself(classify: Run, pictures: Path) -> None:
    (pictures / "red.png").rename(pictures / "a[1].png")
    assert classify(pictures / "a[1].png").code == 0


def test_json_is_one_object_a_line(classify: Run, pictures: Path) -> None:
    code, out, _ = classify("--json", "--top", "2", pictures / "red.png", pictures / "green.bmp")
    assert code == 0
    answers = [json.loads(line) for line in out]
    assert [answer["label"] for answer in answers] == ["red", "green"]
    assert [answer["index"] for answer in answers] == [0, 1]
    assert answers[0]["path"] == str(pictures / "red.png")
    assert answers[0]["top"][0] == {"label": "red", "probability": answers[0]["probability"]}
    assert len(answers[0]["top"]) == 2
    logits = np.array([200, 10, 10]) / 32
    assert answers[0]["energy_score"] == pytest.approx(np.logaddexp.reduce(logits), abs=1e-6)


def test_below_the_confidence_asked_for_it_says_unknown(classify: Run, tmp_path: Path) -> None:
    """A grey image is as red as it is green and blue: a third each."""
    grey = tmp_path / "grey.png"
    Image.new("RGB", (8, 8), (90, 90, 90)).save(grey)
    code, out, err = classify("--min-confidence", "0.5", grey)
    assert (code, err) == (0, [])
    assert out[0].split() == [str(grey), "unknown", "red", "33.3%"]
    answer = json.loads(classify("--min-confidence", "0.5", "--json", grey).out[0])
    assert (answer["label"], answer["top"][0]["label"]) == (None, "red")
    assert "unknown" not in classify("--min-confidence", "0.3", grey).out[0]


def test_auto_takes_the_bundles_energy_score(
    run: Run, spoilt: Callable[..., Path], tmp_path: Path
) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (8, 8), (90, 90, 90)).save(grey)
    auto = ("classify", grey, "--min-confidence", "auto", "--bundle")
    score = json.loads(run("classify", "--bundle", spoilt(), "--json", grey).out[0])["energy_score"]
    abstention = {"rule": "made for this test", "coverage": 1.0, "accuracy": 1.0}
    above, below = ({**abstention, "min_energy_score": score + x} for x in (1e-5, -1e-5))
    assert "unknown" in run(*auto, spoilt(abstention=above)).out[0]
    assert "unknown" not in run(*auto, spoilt(abstention=below)).out[0]
    code, out, err = run(*auto, spoilt())
    assert (code, out) == (1, [])
    assert err == ["tinysight: tiny recommends no energy score: name a confidence from 0 to 1"]


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "sure"])
def test_a_senseless_confidence_is_a_usage_error(
    value: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["classify", str(pictures), f"--min-confidence={value}"])
    assert caught.value.code == 2
    assert "--min-confidence" in capsys.readouterr().err


def test_a_dash_is_standard_input(
    classify: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (pictures / "sub" / "blue.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code, out, _ = classify("-")
    assert code == 0
    assert out[0].split()[:2] == ["-", "blue"]


def test_empty_standard_input_is_one_line(classify: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert classify("-") == (
        1,
        [],
        [f"tinysight: 0 bytes: not an image that tinysight reads ({NAMES})"],
    )


def test_what_cannot_be_read_gets_its_own_line_and_the_others_answers(
    classify: Run, pictures: Path
) -> None:
    """More than a batch of images, with a failure at every place that could shift the names."""
    broken = pictures / "broken.png"
    broken.write_bytes(b"no image")
    good = [pictures / "red.png", pictures / "green.bmp", pictures / "sub" / "blue.png"]
    paths = [broken, *good * 12, broken, "absent.png", *good, pictures / "*.nothing"]
    code, out, err = classify(*paths)
    assert code == 1
    expected = zip(good * 13, ["red", "green", "blue"] * 13, strict=True)
    assert [line.split()[:2] for line in out] == [[str(path), label] for path, label in expected]
    assert err == [
        f"tinysight: {broken}: not an image that tinysight reads ({NAMES})",
        f"tinysight: {broken}: not an image that tinysight reads ({NAMES})",
        "tinysight: absent.png: no such file or folder",
        f"tinysight: {pictures / '*.nothing'}: matches no file",
    ]


def test_a_folder_without_images_is_an_error(classify: Run, tmp_path: Path) -> None:
    assert classify(tmp_path) == (1, [], [f"tinysight: {tmp_path}: no image in this folder"])


@pytest.mark.parametrize("command", ["classify x.png", "info", "verify", "bench"])
def test_a_missing_bundle_is_one_line(command: str, run: Run, tmp_path: Path) -> None:
    code, out, err = run(*command.split(), "--bundle", tmp_path / "absent")
    assert (code, out) == (1, [])
    (line,) = err
    assert line.startswith(
        f"tinysight: {tmp_path / 'absent'} is not a bundle: it has no bundle.json"
    )


def test_an_unknown_artifact_is_one_line(classify: Run, pictures: Path) -> None:
    code, out, err = classify("--artifact", "float16", pictures)
    assert (code, out) == (1, [])
    assert err == ["tinysight: tiny has no artifact 'float16'; it has float32"]


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["frobnicate"],
        ["classify"],
        ["classify", "--top", "0", "x"],
        ["classify", "--threads", "many", "x"],
        ["bench", "--runs", "-1"],
        ["info", "a", "b"],
        ["verify", "--frobnicate"],
    ],
    ids=" ".join,
)
def test_a_usage_error_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: tinysight")


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["classify", "--help"]], ids=" ".join)
def test_help_and_version_are_exit_code_0(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 0
    assert "tinysight" in capsys.readouterr().out or argv == ["--version"]


def test_info_says_what_a_bundle_is(run: Run, tiny: Path) -> None:
    code, out, err = run("info", "--bundle", tiny)
    assert (code, err) == (0, [])
    text = "\n".join(out)
    for words in ("tiny", "3: red, green, blue", "8 x 8", "float32 *", "not measured"):
        assert words in text


def test_info_as_json_is_the_description(run: Run, tiny: Path) -> None:
    code, out, _ = run("info", "--json", "--bundle", tiny)
    assert code == 0
    described = json.loads("\n".join(out))
    assert described.pop("folder") == str(tiny)
    assert {"format": FORMAT, **described} == json.loads((tiny / "bundle.json").read_text())


def test_verify_passes_a_whole_bundle(run: Run, tiny: Path) -> None:
    code, out, err = run("verify", "--bundle", tiny)
    assert (code, err) == (0, [])
    assert out[0].startswith("ok    float32: golden answers differ by")
    result = json.loads("\n".join(run("verify", "--json", "--bundle", tiny).out))
    assert result["ok"] is True
    assert [check["artifact"] for check in result["checks"]] == ["float32"]


def shift(golden: dict[str, Any], by: float) -> dict[str, Any]:
    return {**golden, "logits": [[value + by for value in row] for row in golden["logits"]]}


def test_verify_fails_a_tampered_artifact(run: Run, spoilt: Callable[..., Path]) -> None:
    folder = spoilt()
    file = folder / "float32.onnx"
    file.write_bytes(file.read_bytes().replace(b"ReduceMean", b"ReduceProd"))
    code, out, _ = run("verify", "--bundle", folder)
    assert code == 1
    assert out[0].startswith("FAIL  float32: ")
    assert "SHA-256" in out[0]
    assert json.loads(run("verify", "--json", "--bundle", folder).out[0])["ok"] is False


def test_verify_fails_answers_that_are_not_the_golden_ones(
    run: Run, spoilt: Callable[..., Path], tiny: Path
) -> None:
    kept = json.loads((tiny / "bundle.json").read_text())["artifacts"][0]["golden"]
    assert run("verify", "--bundle", spoilt({"golden": shift(kept, 1e-9)})).code == 0
    code, out, _ = run("verify", "--bundle", spoilt({"golden": shift(kept, 0.1)}))
    assert code == 1
    assert out[0].startswith("FAIL  float32: golden answers differ")


def test_verify_says_when_there_are_no_golden_answers(
    run: Run, spoilt: Callable[..., Path]
) -> None:
    code, out, _ = run("verify", "--bundle", spoilt({"golden": None}))
    assert code == 0
    assert "no golden answers kept" in out[0]


@pytest.mark.parametrize("command", ["info", "verify"])
@pytest.mark.parametrize("key", ["golden", "accuracy", "parity"])
@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "x",
        1,
        {"logits": [[1], [2, 3]], "tolerance": 1},
        {"logits": "x", "tolerance": {}},
        {"value": "x", "interval": [], "n": 1},
        {"test": 1},
        {"test": {"top1_agreement": "x"}},
    ],
    ids=str,
)
def test_malformed_figures_in_a_description_are_one_line(
    command: str, key: str, value: object, run: Run, spoilt: Callable[..., Path]
) -> None:
    code, _, err = run(command, "--bundle", spoilt({key: value}))
    assert code in (0, 1)
    assert len(err) <= 1


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Twelve labelled pictures, three of which lie in the wrong class."""
    for label, colour in (("red", 0), ("green", 1), ("blue", 2)):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True)
        for i in range(4):
            pixels = np.zeros((9, 9, 3), dtype=np.uint8)
            pixels[..., (colour + (i == 3)) % 3] = 255
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "labelled"


def test_on_a_terminal_bench_says_how_long_it_takes(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    quick = ("--runs", "2", "--processes", "2", "--threads", "1", "--batches", "1")
    code, _, err = run("bench", *quick, "--bundle", tiny)
    assert code == 0
    # Two processes of one measurement, 0.2 s of it each, and 3 s around it.
    assert err[0] == "Measuring takes 6 s at most, the accuracy on --data aside."


@pytest.mark.parametrize("test_below", [False, True])
def test_bench_with_labelled_images_gives_the_accuracy(
    test_below: bool, run: Run, tiny: Path, labelled: Path
) -> None:
    if test_below:
        labelled.rename(labelled.with_name("test"))
        labelled = labelled.parent
    hidden = labelled / ("test" if test_below else "") / ".ipynb_checkpoints"
    hidden.mkdir()  # is no class
    quick = ("--runs", "1", "--processes", "1", "--threads", "1", "--batches", "1")
    code, out, err = run("bench", *quick, "--data", labelled, "--bundle", tiny)
    assert (code, err) == (0, [])  # how long it takes is for terminals
    rows = [line for line in out if line.startswith("tiny/float32@onnxruntime")]
    assert "too few" in rows[0]
    assert rows[-1].endswith("75.00% [46.77%, 91.11%] of 12     measured")


def test_bench_with_a_wrong_folder_is_one_line(
    run: Run, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    bench = ("bench", "--runs", "1", "--processes", "1", "--bundle", tiny, "--data")
    (labelled / "pink").mkdir()
    code, _, err = run(*bench, labelled)
    assert (code, len(err)) == (1, 1)
    assert "'pink' is none of the bundle's labels; expected are red, green, blue" in err[0]
    (labelled / "pink").rmdir()
    (labelled / "red" / "broken.png").write_bytes(b"no image")
    code, _, err = run(*bench, labelled)
    assert (code, len(err)) == (1, 1)
    assert "broken.png" in err[0]
    assert run(*bench, tmp_path / "absent").err == [
        f"tinysight: {tmp_path / 'absent'}: no such folder"
    ]
    (tmp_path / "empty" / "red").mkdir(parents=True)
    assert "hold no image" in run(*bench, tmp_path / "empty").err[0]


@pytest.mark.parametrize(("word", "tuned"), [("classify", True), ("bulk", False)])
def test_help_says_where_what_tune_chose_is_taken(
    word: str, tuned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([word, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ("without --engine or --threads, what `tinysight tune` chose here" in told) == tuned
    assert "the bundle's own, or what suits --engine" in told


def command(*argv: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """`python -m tinysight` as a process, with the exit code that a shell sees."""
    words = [os.fsencode(str(argument)) for argument in argv]
    return subprocess.run(
        [sys.executable, "-m", "tinysight", *words], capture_output=True, check=False, **options
    )


def test_as_a_process_the_exit_code_and_both_streams_arrive(tiny: Path, pictures: Path) -> None:
    content = (pictures / "red.png").read_bytes()
    done = command("classify", "--bundle", tiny, "-", "absent.png", input=content)
    assert done.returncode == 1
    assert done.stdout.split()[:2] == [b"-", b"red"]
    assert done.stderr.splitlines() == [b"tinysight: absent.png: no such file or folder"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_a_file_name_that_is_no_text_is_printed_all_the_same(tiny: Path, pictures: Path) -> None:
    """On Linux a name is bytes; the ones that are no UTF-8 used to end in a traceback."""
    name = os.fsdecode(b"caf\xe9.png")
    (pictures / "red.png").rename(pictures / name)
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as in most locales
    for options in ([], ["--json"]):
        done = command("classify", *options, "--bundle", tiny, pictures / name, env=strict)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"red" in done.stdout
        if options:
            assert json.loads(done.stdout)["path"] == str(pictures / name)


@pytest.mark.skipif(os.name == "nt", reason="there is no such pipe")
def test_a_reader_that_has_had_enough_is_no_error(tiny: Path, pictures: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "tinysight", "classify", "--bundle", str(tiny), str(pictures)]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_is_one_line_and_exit_code_130(
    classify: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinysight.classifier.to_pixels", interrupted)
    assert classify(pictures) == (130, [], ["tinysight: stopped"])
