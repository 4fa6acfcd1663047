"""`python -m tinysight`, where the script is not on the path."""

import sys

from tinysight.cli.main import main

sys.exit(main())
