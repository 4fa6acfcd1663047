"""Where tinysight keeps what it would otherwise make again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$TINYSIGHT_CACHE, or tinysight in the user's cache folder; it need not exist yet."""
    named = os.environ.get("TINYSIGHT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinysight"
