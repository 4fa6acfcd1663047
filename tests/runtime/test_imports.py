"""A device has numpy, onnxruntime and Pillow: nothing else may be asked for."""

import subprocess
import sys

HEAVY = {"tensorflow", "keras", "tf_keras", "onnx", "sklearn", "scipy", "matplotlib", "rich"}
STAGES = {"training", "export", "benchmarks"}


def loaded(code: str) -> set[str]:
    """The top-level modules that a fresh process has after `code`."""
    code += "\nimport sys; print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(child.stdout.splitlines()[-1].split())


def test_importing_tinysight_needs_neither_stages_nor_their_dependencies() -> None:
    assert not loaded("import tinysight, tinysight.cli.main, tinysight.benchmark.cold_start") & (
        HEAVY | STAGES
    )


def test_an_answer_needs_nothing_else_either() -> None:
    code = (
        "import numpy, tinysight\n"
        "tinysight.Classifier.load().classify(numpy.zeros((32, 32, 3), numpy.uint8))"
    )
    modules = loaded(code)
    assert "onnxruntime" in modules
    assert not modules & (HEAVY | STAGES)


def test_help_does_not_wait_for_the_engine() -> None:
    code = (
        "from tinysight.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0"
    )
    assert "onnxruntime" not in loaded(code)
