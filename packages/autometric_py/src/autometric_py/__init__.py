"""Logs and plots of what processes use, a port of R's autometric."""

from autometric_py._version import __version__

__all__ = ("__version__",)
