"""`python -m benchmarks`."""

import sys

from training.launch import launch

sys.exit(launch("benchmarks"))
