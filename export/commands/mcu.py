"""`python -m export mcu BUNDLE --out FIRMWARE`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra
from tinysight.records import to_json

if TYPE_CHECKING:
    from export.mcu.firmware import Firmware


def add(commands: Any) -> None:
    command = commands.add_parser(
        "mcu",
        help="write an int8 artifact as C++ sources for TensorFlow Lite Micro",
        description="Writes the sources of a firmware: the model as a constant array, its labels, "
        "its operators, a complete main.cc and a README for TensorFlow Lite Micro, ESP-IDF and "
        "Arduino projects. The model is first run in TensorFlow Lite Micro, which finds the "
        "arena that it needs, and compares its answers with the bundle's.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle shipped with tinysight (default: edge_m)",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FIRMWARE", help="folder to write"
    )
    command.add_argument(
        "--artifact",
        metavar="NAME",
        help="artifact to take, such as static_w8a8.tflite (default: the one that computes in "
        "int8)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing firmware (default: refuse)"
    )
    command.add_argument(
        "--json", action="store_true", help="print the figures as JSON (default: text)"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("mcu", "tflite_micro", "ai_edge_litert")
    from export.mcu.firmware import integer_artifact, write_firmware
    from tinysight.bundle import load_bundle

    bundle = load_bundle(args.bundle)
    artifact = integer_artifact(bundle, args.artifact)
    firmware = write_firmware(bundle, artifact, args.out, overwrite=args.overwrite)
    print(json.dumps(to_json(firmware), indent=1) if args.json else _text(firmware, args.out))
    return 0


def _text(firmware: "Firmware", out: Path) -> str:
    lines = [
        f"{firmware.bundle}/{firmware.artifact} in TensorFlow Lite Micro:",
        f"  flash  {firmware.flash_bytes / 1000:.1f} KB, the model alone",
        f"  arena  {firmware.arena_bytes / 1000:.1f} KB with the reference kernels; CMSIS-NN wants "
        f"up to {firmware.cmsis_scratch_bytes / 1000:.1f} KB more",
        f"  operators  {', '.join(firmware.operators)}",
    ]
    golden = firmware.golden
    if golden is not None:
        lines.append(
            f"  golden answers  the same class on {golden.same_top1} of {golden.inputs}; logits "
            f"off by {golden.max_relative_error:.1%} of their spread at most"
        )
    return "\n".join([*lines, f"Written to {out}/; {out}/README.md says how to build it."])
