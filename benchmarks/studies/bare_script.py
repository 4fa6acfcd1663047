"""What anybody would write to classify one image: `python bare_script.py MODEL.onnx PICTURE`.

The reference of `benchmarks.studies.startup`: numpy, Pillow and onnxruntime, and nothing of ours.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = session.get_inputs()[0]
_, height, width, _ = image.shape
with Image.open(sys.argv[2]) as picture:
    pixels = np.asarray(picture.convert("RGB").resize((width, height)))
logits = session.run(None, {image.name: pixels[None]})[0][0]
print(logits.argmax())
