"""Pipelines that redo only what changed, a port of R's targets."""

from targets_py._version import __version__

__all__ = ("__version__",)
