"""`python -m targets_py` is `targets`."""

import sys

from targets_py.cli import main

sys.exit(main())
