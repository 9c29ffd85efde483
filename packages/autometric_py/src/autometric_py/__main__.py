"""`python -m autometric_py` is the command line."""

import sys

from autometric_py.cli import main

if __name__ == "__main__":
    sys.exit(main())
