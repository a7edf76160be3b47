"""`python -m kselect` is the command `kselect`."""

import sys

from kselect.cli.main import main

sys.exit(main())
