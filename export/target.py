"""The folder that a command writes: nothing but what the same command wrote is ever replaced."""

import os
from pathlib import Path

from export.errors import ExportError
from tinysight.files import recover_folder


def check_target(out: Path, *, overwrite: bool, mark: str, kind: str) -> None:
    """Refuses to replace what is not asked for, or is somebody's own folder.

    Args:
        out: what is to be written.
        overwrite: whether an older one may be replaced.
        mark: a file that every folder of this kind has.
        kind: what it is, with its article.

    Raises ExportError.
    """
    # Replacing it would leave this process, and the user's shell, in a deleted folder.
    if Path.cwd().is_relative_to(os.path.realpath(out)):
        raise ExportError(f"{out} holds the working folder, and cannot be replaced: name another")
    recover_folder(out)  # a killed process may have left the old one beside
    if not out.exists():
        return
    if not (out / mark).is_file():
        raise ExportError(f"{out} is not {kind}; it is not replaced")
    if not overwrite:
        raise ExportError(f"{out} exists: --overwrite replaces it")
