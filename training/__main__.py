"""`python -m training`."""

import sys

from training.launch import launch

sys.exit(launch("training"))
