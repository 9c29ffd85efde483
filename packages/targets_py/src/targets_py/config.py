"""The project's settings in `_targets.yaml`: where script and store are, and defaults of arguments.

The file maps project names to settings; `TAR_CONFIG` names the file, `TAR_PROJECT` the project. A project
may inherit what it does not set from another one.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets_py.errors import TarValidateError, TarValidateWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

__all__ = (
    "tar_config_get",
    "tar_config_projects",
    "tar_config_set",
    "tar_config_unset",
    "tar_config_yaml",
    "tar_envvars",
)

LABELS = ("description", "time", "size", "branches")
ENVIRONMENT_VARIABLES = ("TAR_ACTIVE", "TAR_ASK", "TAR_CONFIG", "TAR_PROJECT", "TAR_WARN")


@dataclass(frozen=True)
class Setting:
    """One setting: its final form, what is legal in words, and what holds if nothing is set."""

    check: Callable[[Any], Any]  # raises ValueError or TypeError for what is not legal
    legal: str
    default: Callable[[], Any]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(least: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
            raise ValueError
        return value

    return check


def _label_width(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise TypeError
    return str(os.fspath(value))


def _labels(value: Any) -> list[str]:
    found = [value] if isinstance(value, str) else list(value)
    if not set(found) <= set(LABELS):
        raise ValueError
    return found


def _reporter(value: Any) -> str:
    from targets_py.reporter import reporter_name

    return reporter_name(value)


def _reporter_outdated(value: Any) -> str:
    from targets_py.reporter import reporter_name

    return reporter_name(value, outdated=True)


def _default_reporter() -> str:
    from targets_py.reporter import default_reporter

    return default_reporter()


_NONNEGATIVE = _number(0)
SETTINGS: dict[str, Setting] = {
    "inherits": Setting(_text, "the name of a project", lambda: None),
    "as_job": Setting(_flag, "True or False", lambda: False),
    "label": Setting(_labels, f"a list of any of {', '.join(LABELS)}", list),
    "label_width": Setting(_label_width, "a whole number of at least 1", lambda: 30),
    "level_separation": Setting(_NONNEGATIVE, "a number of at least 0", lambda: None),
    "reporter_make": Setting(
        _reporter, "one of balanced, terse, verbose, timestamp, silent", _default_reporter
    ),
    "reporter_outdated": Setting(_reporter_outdated, "one of balanced, terse, silent", _default_reporter),
    "script": Setting(_text, "a path", lambda: "_targets.py"),
    "seconds_meta_append": Setting(_NONNEGATIVE, "a number of at least 0", lambda: 0),
    "seconds_meta_upload": Setting(_NONNEGATIVE, "a number of at least 0", lambda: 15),
    "shortcut": Setting(_flag, "True or False", lambda: False),
    "store": Setting(_text, "a path", lambda: "_targets"),
    "use_crew": Setting(_flag, "True or False", lambda: True),
}


def tar_config_set(
    *,
    inherits: str | None = None,
    as_job: bool | None = None,
    label: Iterable[str] | None = None,
    label_width: int | None = None,
    level_separation: float | None = None,
    reporter_make: str | None = None,
    reporter_outdated: str | None = None,
    script: str | os.PathLike[str] | None = None,
    seconds_meta_append: float | None = None,
    seconds_meta_upload: float | None = None,
    shortcut: bool | None = None,
    store: str | os.PathLike[str] | None = None,
    use_crew: bool | None = None,
    config: str | os.PathLike[str] | None = None,
    project: str | None = None,
) -> None:
    """Write settings of a project into `_targets.yaml`; comments in that file are lost.

    Args:
        inherits: Project to take unset settings from.
        as_job: Whether `tar_make()` runs in the background and writes to a log file.
        label: What graphs show below a name: any of "description", "time", "size", "branches".
        label_width: Longest line of a graph's labels, in characters.
        level_separation: Distance of a graph's levels, in pixels.
        reporter_make: Reporter of `tar_make()`.
        reporter_outdated: Reporter of `tar_outdated()` and other functions that only look.
        script: Path of the script that defines the pipeline.
        seconds_meta_append: Least seconds between two writes of the metadata.
        seconds_meta_upload: Least seconds between two uploads of the metadata.
        shortcut: Whether only the named targets are looked at, not what is upstream.
        store: Path of the data store.
        use_crew: Whether a crew controller is used if one is set.
        config: The file; None: environment variable TAR_CONFIG, or `_targets.yaml`.
        project: The project; None: environment variable TAR_PROJECT, or "main".

    None leaves a setting as it is; `tar_config_unset()` removes it.

    Raises:
        TarValidateError: A value is not legal, or the file is no valid configuration; nothing is changed.

    Example:
        >>> tar_config_set(store="results", reporter_make="terse")
    """
    given = {
        "inherits": inherits,
        "as_job": as_job,
        "label": label,
        "label_width": label_width,
        "level_separation": level_separation,
        "reporter_make": reporter_make,
        "reporter_outdated": reporter_outdated,
        "script": script,
        "seconds_meta_append": seconds_meta_append,
        "seconds_meta_upload": seconds_meta_upload,
        "shortcut": shortcut,
        "store": store,
        "use_crew": use_crew,
    }
    changes = {name: _checked(name, value) for name, value in given.items() if value is not None}
    if not changes:
        return
    path, name = _config_path(config), _project_name(project)
    projects = _read(path)
    projects.setdefault(name, {}).update(changes)
    _write(path, projects)


def tar_config_get(
    name: str, config: str | os.PathLike[str] | None = None, project: str | None = None
) -> Any:
    """The value of a setting: the project's own, an inherited one, or the default.

    Args:
        name: The setting, an argument name of `tar_config_set()`.
        config: The file; None: environment variable TAR_CONFIG, or `_targets.yaml`.
        project: The project; None: environment variable TAR_PROJECT, or "main".

    Raises:
        TarValidateError: Unknown setting, illegal value in the file, or a circle of inheritance that had to
            be followed.

    Example:
        >>> tar_config_get("store")
        '_targets'
    """
    return setting_with_source(name, config, project)[0]


def tar_config_unset(
    names: str | Iterable[str] = (),
    config: str | os.PathLike[str] | None = None,
    project: str | None = None,
) -> None:
    """Remove settings of a project from `_targets.yaml`, so that inherited values or defaults hold.

    Args:
        names: Settings to remove.
        config: The file; None: environment variable TAR_CONFIG, or `_targets.yaml`.
        project: The project; None: environment variable TAR_PROJECT, or "main".

    Raises:
        TarValidateError: Unknown setting.

    Example:
        >>> tar_config_set(store="st")
        >>> tar_config_unset("store")
        >>> tar_config_get("store")
        '_targets'
    """
    unwanted = [names] if isinstance(names, str) else list(names)
    for setting in unwanted:
        _known(setting)
    path, name = _config_path(config), _project_name(project)
    projects = _read(path)
    own = projects.get(name, {})
    if not own.keys() & set(unwanted):
        return
    projects[name] = {key: value for key, value in own.items() if key not in unwanted}
    _write(path, projects)


def tar_config_projects(config: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the projects in `_targets.yaml`, in the order of the file; none if there is no file.

    Example:
        >>> tar_config_set(store="st", project="other")
        >>> tar_config_projects()
        ['other']
    """
    return list(_read(_config_path(config)))


def tar_config_yaml(config: str | os.PathLike[str] | None = None) -> dict[str, dict[str, Any]]:
    """The content of `_targets.yaml`: project -> setting -> value; empty if there is no file.

    Example:
        >>> tar_config_set(store="st")
        >>> tar_config_yaml()
        {'main': {'store': 'st'}}
    """
    return _read(_config_path(config))


def tar_envvars(unset: str = "") -> pl.DataFrame:
    """The environment variables that targets_py reads.

    Args:
        unset: What stands for a variable that is not set.

    Returns:
        A frame with the columns name and value.

    Example:
        >>> tar_envvars()["name"].to_list()
        ['TAR_ACTIVE', 'TAR_ASK', 'TAR_CONFIG', 'TAR_PROJECT', 'TAR_WARN']
    """
    import polars as pl

    values = [os.environ.get(name, unset) for name in ENVIRONMENT_VARIABLES]
    return pl.DataFrame({"name": list(ENVIRONMENT_VARIABLES), "value": values})


def setting_with_source(
    name: str, config: str | os.PathLike[str] | None = None, project: str | None = None
) -> tuple[Any, str]:
    """The value of a setting and where it came from: a project's name, or "default"."""
    _known(name)
    path, current = _config_path(config), _project_name(project)
    projects = _read(path)
    if projects and current not in projects:
        warnings.warn(
            f"project {current!r} is not in {path}, which has {', '.join(projects)}: using defaults",
            TarValidateWarning,
            stacklevel=3,
        )
    visited = set()
    while current in projects:
        own = projects[current]
        if own.get(name) is not None:
            return _checked(name, own[name], f" in project {current} of {path}"), current
        visited.add(current)
        parent = own.get("inherits")
        if parent is None or name == "inherits":
            break
        if parent in visited:
            raise TarValidateError(f"Circular project inheritance: {current}, {parent}")
        current = parent
    return SETTINGS[name].default(), "default"


def _known(name: str) -> Setting:
    if name not in SETTINGS:
        raise TarValidateError(f"unknown setting {name!r}: choose one of {', '.join(SETTINGS)}")
    return SETTINGS[name]


def _checked(name: str, value: Any, place: str = "") -> Any:
    setting = SETTINGS[name]
    try:
        return setting.check(value)
    except (TypeError, ValueError):
        raise TarValidateError(f"setting {name}{place} must be {setting.legal}, not {value!r}") from None


def _config_path(config: str | os.PathLike[str] | None) -> Path:
    return Path(config or os.environ.get("TAR_CONFIG") or "_targets.yaml")


def _project_name(project: str | None) -> str:
    return project or os.environ.get("TAR_PROJECT") or "main"


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    import yaml

    try:
        projects = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TarValidateError(f"{path} is not valid YAML: {error}") from None
    if projects is None:
        return {}
    if not isinstance(projects, dict) or not all(isinstance(own, dict | None) for own in projects.values()):
        raise TarValidateError(
            f"{path} must map project names to settings, for example\nmain:\n  store: _targets"
        )
    return {str(name): own or {} for name, own in projects.items()}


def _write(path: Path, projects: dict[str, dict[str, Any]]) -> None:
    import yaml

    text = yaml.safe_dump(projects, sort_keys=False, allow_unicode=True, default_flow_style=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
