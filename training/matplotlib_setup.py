"""The project's one matplotlib: every module takes what it needs of it from here.

When it is imported, matplotlib writes a list of the machine's fonts into the user's home. Where it
has no folder there yet, it gets a temporary one: a plot is no reason to leave files behind.

Class names may be of any script: fonts that have them are used where the machine has such fonts.
Elsewhere a plot has boxes in their place, and no warning for each character.
"""

import atexit
import os
import shutil
import tempfile
import warnings
from pathlib import Path


def _has_folder() -> bool:
    """Whether the user's home has a folder of matplotlib's, of any system."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    known = (config / "matplotlib", cache / "matplotlib", home / ".matplotlib")
    return any(folder.is_dir() for folder in known)


# Read by matplotlib when it is imported, so it must be set before.
if "MPLCONFIGDIR" not in os.environ and not _has_folder():
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="matplotlib-")
    atexit.register(shutil.rmtree, os.environ["MPLCONFIGDIR"], ignore_errors=True)

from matplotlib import font_manager, rcParams, ticker  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.container import ErrorbarContainer  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Hiragino Sans", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip
"""Behind the usual font, for characters that it has not."""

_installed = set(font_manager.get_font_names())
# A class or a folder may be named "$5", which is no formula, and of which matplotlib would raise.
rcParams["text.parse_math"] = False
rcParams["font.family"] = ["sans-serif", *(font for font in _FONTS if font in _installed)]
warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")

__all__ = ["Axes", "ErrorbarContainer", "Figure", "Text", "ticker"]
