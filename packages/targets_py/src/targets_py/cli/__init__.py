"""The command line `targets`."""

from __future__ import annotations

from targets_py.cli.app import cli, main

__all__ = ("cli", "main")
