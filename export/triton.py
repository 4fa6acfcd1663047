"""A bundle as a model of a repository for NVIDIA's Triton Inference Server.

https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_repository.md
"""

from pathlib import Path

from export.target import check_target
from tinysight.bundle import Bundle
from tinysight.files import new_folder

_CONFIG_FILE = "config.pbtxt"
_CONFIG = """\
name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch}
input [
  {{ name: "{input}", data_type: TYPE_UINT8, dims: [ {height}, {width}, 3 ] }}
]
output [
  {{ name: "{output}", data_type: TYPE_FP32, dims: [ {classes} ], label_filename: "labels.txt" }}
]
# Small networks answer soonest on one thread; several instances use the other cores.
instance_group [ {{ kind: KIND_CPU, count: 2 }} ]
parameters {{ key: "intra_op_thread_count" value: {{ string_value: "1" }} }}
dynamic_batching {{ }}
"""


def write_repository(bundle: Bundle, out: Path, *, max_batch: int, overwrite: bool) -> Path:
    """Writes the model `out/<bundle's name>`; other models of the repository stay.

    Args:
        bundle: its default artifact is written, an ONNX file.
        out: the repository.
        max_batch: images that the server may put into one call, from 1.
        overwrite: whether a model of that name is replaced; no other folder is.

    Returns the model's folder.

    Raises:
        BundleError: the artifact's file is damaged.
        ExportError: the model exists, or a folder of its name that is none.
    """
    import onnx

    model = out / bundle.name
    check_target(model, overwrite=overwrite, mark=_CONFIG_FILE, kind="a model for Triton")
    content = bundle.read(bundle.artifact())
    graph = onnx.load_from_string(content).graph
    config = _CONFIG.format(
        name=bundle.name,
        max_batch=max_batch,
        input=graph.input[0].name,
        output=graph.output[0].name,
        height=bundle.height,
        width=bundle.width,
        classes=len(bundle.labels),
    )
    with new_folder(model, overwrite=overwrite) as folder:
        (folder / "1").mkdir()
        (folder / "1" / "model.onnx").write_bytes(content)
        (folder / _CONFIG_FILE).write_text(config, encoding="utf-8")
        labels = "".join(f"{label}\n" for label in bundle.labels)
        (folder / "labels.txt").write_text(labels, encoding="utf-8")
    return model
