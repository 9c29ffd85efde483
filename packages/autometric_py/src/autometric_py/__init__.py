"""Logs and plots of what processes use, a port of R's autometric."""

from autometric_py._version import __version__
from autometric_py.control import (
    LogHandle,
    log_active,
    log_attach,
    log_detach,
    log_print,
    log_start,
    log_stop,
)
from autometric_py.errors import (
    AutometricError,
    AutometricMissingError,
    AutometricTypeError,
    AutometricValueError,
)
from autometric_py.overview import log_plot_all
from autometric_py.phase import log_environment, log_phase, log_phase_get, log_phase_reset, log_phase_set
from autometric_py.plot import log_plot
from autometric_py.read import log_read, log_scan
from autometric_py.report import log_report
from autometric_py.summary import log_summary
from autometric_py.support import log_support, log_version

__all__ = (
    "AutometricError",
    "AutometricMissingError",
    "AutometricTypeError",
    "AutometricValueError",
    "LogHandle",
    "__version__",
    "log_active",
    "log_attach",
    "log_detach",
    "log_environment",
    "log_phase",
    "log_phase_get",
    "log_phase_reset",
    "log_phase_set",
    "log_plot",
    "log_plot_all",
    "log_print",
    "log_read",
    "log_report",
    "log_scan",
    "log_start",
    "log_stop",
    "log_summary",
    "log_support",
    "log_version",
)
