"""The program of the sampler's process: `python sampler_process.py PARENT` is how `launch.py` starts it.

Python compiles a program anew whenever it starts but keeps modules compiled, so all that is long stands in
`sampler.py`.
"""

import os
import sys

# Stands for the package, so that its `__init__` and all that it loads stay out of this process.
_package = type(sys)("autometric_py")
_package.__path__ = [os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120 - pathlib is big
sys.modules["autometric_py"] = _package

from autometric_py.sampler import main  # noqa: E402

if __name__ == "__main__":
    main()
