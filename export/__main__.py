"""`python -m export`."""

import sys

from training.launch import launch

sys.exit(launch("export"))
