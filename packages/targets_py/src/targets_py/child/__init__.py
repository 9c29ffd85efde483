"""Functions called in a fresh Python process.

The child is a new interpreter, never a fork, and it does not import the caller's `__main__`. The function and
its arguments go in on stdin as a cloudpickle, the result comes back through a file, and stdin stays open as a
lifeline: the child reads its end when the parent is gone.
"""

from targets_py.child.background import BackgroundProcess
from targets_py.child.call import call_runner, callr_r, callr_r_bg, tar_callr_args_default

__all__ = ("BackgroundProcess", "call_runner", "callr_r", "callr_r_bg", "tar_callr_args_default")
