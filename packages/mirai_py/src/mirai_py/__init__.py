"""Asynchronous evaluation on background daemons, a port of R's mirai."""

from mirai_py._version import __version__

__all__ = ("__version__",)
