"""`python -m nngsock`: see `nngsock.cli`."""

from __future__ import annotations

import sys

from nngsock.cli import main

if __name__ == "__main__":
    sys.exit(main())
