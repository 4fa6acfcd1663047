"""Many images: every source, every image exactly once, whatever is killed."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("daft")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from tinysight import Classifier
from tinysight.bulk.run import Options, Summary, bulk
from tinysight.bulk.sources import Reader, references
from tinysight.cli.main import main
from tinysight.errors import TinysightError

ROOT = Path(__file__).parents[3]
TINY = str(ROOT / "tests" / "tiny" / "bundle")
KILLS = int(os.environ.get("TINYSIGHT_BULK_KILLS", "2"))
"""After as many parts each, until the run is finished."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pictures of random colours, and a file that is none."""
    folder = tmp_path_factory.mktemp("many") / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:02}.png")
    (folder / "17.png").write_bytes(b"no picture")
    return folder


def rows(out: Path) -> list[dict[str, Any]]:
    return [
        row for file in sorted(out.glob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]


def run(sources: Sequence[str], out: Path, part: int = 16, **options: Any) -> Summary:
    return bulk(sources, out, Options(TINY, **options), 2, lambda *_: None, part=part)


def test_the_answers_are_those_of_the_classifier(pictures: Path, tmp_path: Path) -> None:
    summary = run([str(pictures)], tmp_path / "out", top_k=2, min_confidence=0.5)
    classifier = Classifier.load(TINY)
    files = sorted(pictures.iterdir())
    found = rows(tmp_path / "out")
    assert [row["path"] for row in found] == [str(file) for file in files]
    unknown = 0
    for file, row in zip(files, found, strict=True):
        if file.name == "17.png":
            assert row["label"] is None
            assert "17.png" in row["error"]
            continue
        answer = classifier.classify(file, top_k=2, min_confidence=0.5)
        unknown += answer.label is None
        assert (row["label"], row["error"]) == (answer.label, None)
        assert row["probability"] == pytest.approx(answer.probability, abs=1e-6)
        assert [one["label"] for one in row["top"]] == [label for label, _ in answer.top]
    assert summary == Summary(40, 39 - unknown, unknown, 1, parts=3, resumed_parts=0)
    again = run([str(pictures)], tmp_path / "out", top_k=2, min_confidence=0.5)
    assert again.resumed_parts == 3


def test_tar_archives_and_parquet_give_the_same_answers(pictures: Path, tmp_path: Path) -> None:
    files = sorted(pictures.iterdir())
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for file in files:
            archive.add(file, f"deep/{file.name}")
    column = [file.read_bytes() for file in files]
    pq.write_table(pa.table({"image": column}), tmp_path / "bytes.parquet", row_group_size=7)
    structs = [{"bytes": content, "path": None} for content in column]
    pq.write_table(pa.table({"image": structs}), tmp_path / "structs.parquet")
    names = pa.table({"path": [str(file) for file in files]})
    pq.write_table(names, tmp_path / "names.parquet")
    expected = None
    for source in (str(pictures), *map(str, sorted(tmp_path.glob("*.*")))):
        out = tmp_path / f"{Path(source).name} answers"
        run([source], out)
        found = [(row["label"], row["probability"], row["top"]) for row in rows(out)]
        assert len(found) == 40
        expected = expected or found
        assert found == expected
    assert rows(tmp_path / "shard.tar answers")[3]["path"] == f"{tmp_path}/shard.tar/deep/03.png"
    assert rows(tmp_path / "bytes.parquet answers")[9]["path"] == f"{tmp_path}/bytes.parquet#9"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_names_that_are_no_text_are_answered_as_others_are(pictures: Path, tmp_path: Path) -> None:
    """On Linux a name is bytes, a file's and an archive member's; they ended in a traceback."""
    good, bad = (os.fsdecode(b"caf\xe9%d.png" % number) for number in range(2))
    folder = tmp_path / "named"
    folder.mkdir()
    (folder / good).write_bytes((pictures / "00.png").read_bytes())
    (folder / bad).write_bytes(b"no picture")
    with tarfile.open(folder / "shard.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(folder / good, good)
    summary = run([str(folder), str(folder / "shard.tar")], tmp_path / "out")
    assert (summary.images, summary.errors) == (3, 1)
    first, second, member = rows(tmp_path / "out")
    escaped = [rf"caf\udce9{number}.png" for number in range(2)]
    assert [first["path"], second["path"]] == [f"{folder}/{name}" for name in escaped]
    assert member["path"] == f"{folder}/shard.tar/{escaped[0]}"
    assert first["label"] == member["label"] == Classifier.load(TINY).classify(folder / good).label
    assert escaped[1] in second["error"]
    table = folder / os.fsdecode(b"caf\xe9.parquet")
    table.write_bytes(b"")
    with pytest.raises(TinysightError, match="whose name is not UTF-8"):
        references([str(table)])


def test_urls_are_listed_and_read(pictures: Path) -> None:
    """Of the kind that needs no network; credentials and the network are Daft's."""
    found = references([f"file://{pictures}/0*.png"])
    assert [Path(one.path).name for one in found] == [f"0{i}.png" for i in range(10)]
    assert Reader().read(found[3]) == (pictures / "03.png").read_bytes()


SCRIPT = """
import sys
from pathlib import Path
from tinysight.bulk.run import Options, bulk
if __name__ == "__main__":
    told = lambda *counts: print(*counts, flush=True)
    bulk([sys.argv[1]], Path(sys.argv[2]), Options(sys.argv[3]), 2, told, part=2)
"""


def test_killed_and_resumed_every_image_is_there_once(pictures: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "runtime")}
    command = [sys.executable, str(script), str(pictures), str(out), TINY]
    for _ in range(KILLS):
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("classifying"):
                    break  # a part is written, and others are on their way
            process.kill()
    assert len(list(out.glob("part-*.parquet"))) >= min(KILLS, 20)
    (out / ".part-00019.parquet").write_bytes(b"half a part")
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    paths = [row["path"] for row in rows(out)]
    assert paths == sorted(map(str, pictures.iterdir()))
    assert not list(out.glob(".part*"))


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"options": Options(TINY, top_k=2)}, "other options"),
        ({"options": Options(str(Path(TINY).with_name("bundle_litert")))}, "other bundle"),
        ({"sources": ["00.png"]}, "other images"),
    ],
)
def test_another_run_is_refused(
    other: dict[str, Any], what: str, pictures: Path, tmp_path: Path
) -> None:
    run([str(pictures / "00.png"), str(pictures / "01.png")], tmp_path / "out")
    sources = [str(pictures / name) for name in other.get("sources", ["00.png", "01.png"])]
    if "litert" in str(other):
        pytest.importorskip("ai_edge_litert")
    with pytest.raises(TinysightError, match=f"answers of {what}"):
        bulk(sources, tmp_path / "out", other.get("options", Options(TINY)), 1, lambda *_: None)


def test_mistakes_are_one_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compressed = tmp_path / "a.tar"
    with tarfile.open(compressed, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x.png"), io.BytesIO())
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for words, message in (
        (["none"], "none: no such file or folder"),
        (["-"], "reads no standard input"),
        ([str(compressed)], "is no uncompressed tar archive"),
        ([str(tmp_path / "a.parquet")], "has none of the columns"),
        ([str(tmp_path / "b.parquet")], "is no Parquet file"),
        ([str(pictures), str(pictures / "00.png")], "is there twice"),
        ([str(pictures), "--out", str(full)], "holds something else"),
        ([str(pictures), "--min-confidence", "auto"], "recommends no energy score"),
    ):
        assert main(["bulk", *words, "--bundle", TINY, *_out(words, tmp_path)]) == 1
        printed = capsys.readouterr().err
        assert message in printed
        assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


def _out(words: Sequence[str], folder: Path) -> list[str]:
    return [] if "--out" in words else ["--out", str(folder / "out")]


def test_the_command_says_what_it_wrote(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bulk", str(pictures), "--bundle", TINY, "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main(words) == 0
    assert "40 images: 39 answered, 0 unknown, 1 that cannot be read" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["images"], summary["resumed_parts"]) == (40, 1)


def test_rays_workers_give_the_same_answers(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "runtime")}
    words = ["-m", "tinysight", "bulk", str(pictures), "--bundle", TINY, "--jobs", "2", "--out"]
    for runner in ("native", "ray"):
        subprocess.run(
            [sys.executable, *words, str(tmp_path / runner)],
            env={**env, "DAFT_RUNNER": runner}, check=True, capture_output=True,
        )  # fmt: skip
    assert rows(tmp_path / "ray") == rows(tmp_path / "native")
