"""`python -m voxface`."""

import sys

from voxface.cli import main

sys.exit(main())
