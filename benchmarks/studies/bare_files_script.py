"""What anybody would write to classify many files: `bare_files_script.py MODEL.onnx FOLDER JOBS`.

The reference of `benchmarks.studies.many_files`: numpy, Pillow and onnxruntime in JOBS processes,
batches of 32, and nothing of ours. Prints the index of each file's class.
"""

import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

BATCH = 32


def classify(files: list[Path]) -> list[int]:
    """A class index for each file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    _, height, width, _ = image.shape
    answers: list[int] = []
    for begin in range(0, len(files), BATCH):
        pixels = []
        for file in files[begin : begin + BATCH]:
            with Image.open(file) as picture:
                pixels.append(np.asarray(picture.convert("RGB").resize((width, height))))
        logits = session.run(None, {image.name: np.stack(pixels)})[0]
        answers += logits.argmax(axis=1).tolist()
    return answers


def main() -> None:
    files, jobs = sorted(Path(sys.argv[2]).iterdir()), int(sys.argv[3])
    share = -(-len(files) // jobs)
    with get_context("spawn").Pool(jobs) as pool:
        parts = pool.map(classify, [files[i : i + share] for i in range(0, len(files), share)])
    print("\n".join(str(index) for part in parts for index in part))


if __name__ == "__main__":
    main()
