"""Auto-scaling pools of workers, a port of R's crew."""

from crew_py._version import __version__

__all__ = ("__version__",)
