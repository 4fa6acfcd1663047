"""What an emulated CPU runs: `python on_cpu.py BUNDLE ARTIFACT IMAGES.npy LOGITS.npy`.

It imports tinysight and its engines alone, which is all that an emulated device has. It answers one
image at a time, as a device does, writes the logits of all, float32 (n, classes), and prints one
JSON object: how the golden answers compare (null where the bundle keeps none), and the versions.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinysight.bundle import load_bundle
from tinysight.device.versions import package_versions
from tinysight.engines.registry import ENGINES, engine_of, open_engine
from tinysight.integrity import golden


def main() -> None:
    folder, name, images, logits = sys.argv[1:]
    bundle = load_bundle(Path(folder))
    artifact = bundle.artifact(name)
    run = open_engine(bundle, artifact).run
    kept = artifact.golden
    compared = None if kept is None else asdict(golden.compare(run, kept, bundle))
    np.save(logits, np.concatenate([run(image[None]) for image in np.load(images)]))
    versions = package_versions(("numpy", ENGINES[engine_of(artifact)].package))
    print(json.dumps({"golden": compared, "versions": versions}))


main()
