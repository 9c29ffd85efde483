"""Messages between processes: NNG sockets with asynchronous operations, a port of R's nanonext."""

from nngsock._version import __version__

__all__ = ("__version__",)
