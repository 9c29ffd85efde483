"""Reading `_targets.py`: from source to a checked set of targets."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from targets_py.definition.options import Options, current_options, restore_options
from targets_py.definition.targets import Target
from targets_py.errors import TarError, TarValidateError, TarValidateWarning
from targets_py.hashing.code import Code
from targets_py.project import Source, project_modules, project_sources

MODULE = "_targets"
EXTRAS = {"crew_py": "crew", "autometric_py": "metrics"}
# Functions that read the script themselves: in the script they would never end.
RUNNERS = frozenset(
    {
        "tar_make",
        "tar_outdated",
        "tar_manifest",
        "tar_network",
        "tar_glimpse",
        "tar_visnetwork",
        "tar_mermaid",
        "tar_sitrep",
        "tar_prune",
        "tar_validate",
        "tar_why",
        "tar_renv",
    }
)


@dataclass(slots=True)
class Pipeline:
    """What a script says.

    Attributes:
        targets: Name -> target, in the order of the script.
        namespace: Where commands find their globals.
        options: The options at the end of the script.
        code: Hashes of the code that commands use.
        path: Absolute path of the script.
        root: The project's folder.
        sources: Path of each file that was run -> its text: the script, then what `tar_source()` ran.
        modules: Name -> source of the project's modules that the script imported, as they were then.
        given: Names that the caller put into the namespace before the script ran.
    """

    targets: dict[str, Target]
    namespace: dict[str, Any]
    options: Options
    code: Code
    path: str
    root: str
    sources: dict[str, str]
    modules: dict[str, Source] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Reading:
    """The script that runs at the moment; `tar_source()` adds to its sources."""

    module: types.ModuleType
    sources: dict[str, str]
    memory: bool  # True on a worker: files are taken from sources alone


_reading: _Reading | None = None


@contextmanager
def open_script(
    path: str | os.PathLike[str], envir: Mapping[str, Any] | None = None, source: str | None = None
) -> Iterator[Pipeline]:
    """Read a script, and leave the process as it was when the body ends.

    Options start from their defaults. Afterwards options, sys.path and the project's modules in sys.modules
    are what they were before.

    Args:
        path: The script.
        envir: Names to put into the script's namespace first.
        source: The script's text, if it shall not be read from the file.

    Yields:
        The pipeline, not validated yet.

    Raises:
        TarValidateError: The script is missing, does not parse, raises, or does not define a pipeline; the
            message names the line.
    """
    options, search, modules = current_options(), list(sys.path), dict(sys.modules)
    try:
        yield load_script(path, envir, source)
    finally:
        restore_options(options)
        sys.path[:] = search
        _forget_modules(modules)


def load_script(
    path: str | os.PathLike[str], envir: Mapping[str, Any] | None = None, source: str | None = None
) -> Pipeline:
    """Read a script in a process that serves this script alone; see `open_script()`."""
    file = os.path.abspath(path)  # noqa: PTH100 - keeps symbolic links: they are part of the project's layout
    text = read_source(file) if source is None else source
    restore_options(Options())
    root = str(Path.cwd())
    if sys.path[:1] != [root]:
        sys.path.insert(0, root)
    sources = {file: text}
    module = run_script(file, sources, envir or {})
    options = current_options()
    namespace = script_namespace(options, module)
    targets = collect_targets(vars(module), file)
    modules = project_sources(root, known={MODULE})
    known = sources | {source.file: source.text for source in modules.values()}
    code = Code(namespace, Path(root), imports=options.imports, sources=known)
    pipeline = Pipeline(targets, namespace, options, code, file, root, sources, modules, dict(envir or {}))
    _warn_about_names(pipeline)
    return pipeline


def run_script(
    file: str, sources: dict[str, str], given: Mapping[str, Any], *, memory: bool = False
) -> types.ModuleType:
    """Run a script in a fresh module named `_targets`.

    Args:
        file: Absolute path of the script.
        sources: Path -> text; must hold the script, and gets what `tar_source()` reads.
        given: Names to put into the module first.
        memory: Take everything from `sources` and read no file.

    Returns:
        The module, which stands in sys.modules.
    """
    global _reading
    module = types.ModuleType(MODULE)
    module.__file__ = file
    vars(module).update(given)
    sys.modules[MODULE] = module
    tree = _parse(sources[file], file)
    _refuse_recursion(tree, file)
    outer, _reading = _reading, _Reading(module, sources, memory)
    try:
        _execute(tree, file, sources[file], vars(module))
    except TarValidateError as error:
        raise TarValidateError(f"{_place(file, error)}: {error}") from error
    except Exception as error:
        if isinstance(error, TarError):
            raise
        raise TarValidateError(
            f"{_place(file, error)}: {type(error).__name__}: {error}{_remedy(error)}"
        ) from error
    except SystemExit as error:
        raise TarValidateError(f"{_place(file, error)}: the script exits with {error.code!r}") from error
    finally:
        _reading = outer
    return module


def read_source(file: str) -> str:
    """The text of a Python file, decoded by its coding line.

    Raises:
        TarValidateError: No such file, or it cannot be decoded.
    """
    try:
        return importlib.util.decode_source(Path(file).read_bytes())
    except FileNotFoundError:
        raise TarValidateError(
            f"could not find file {file}. tar_script() writes one, tar_edit() opens it."
        ) from None
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise TarValidateError(f"cannot read {file}: {error}") from error


def tar_source(
    files: str | os.PathLike[str] | list[str] | tuple[str, ...] = "functions",
    envir: dict[str, Any] | None = None,
    change_directory: bool = False,
) -> None:
    """Run Python files in the script's namespace; they count as code of the script.

    Args:
        files: Files, and folders whose `.py` files are run: sorted, depth first.
        envir: Namespace to run them in; None: the script's, or the caller's globals outside a script.
        change_directory: Make each file's folder the working directory while it runs.

    Example:
        >>> tar_source([])
    """
    reading = _reading
    caller = sys._getframe(1).f_globals  # noqa: SLF001 - the documented default
    namespace = caller if envir is None else envir
    paths = [files] if isinstance(files, (str, os.PathLike)) else files
    known = reading.sources if reading and reading.memory else None
    for path in paths:
        for file in _python_files(os.path.abspath(path), known):  # noqa: PTH100
            text = known[file] if known is not None else read_source(file)
            if reading:
                reading.sources[file] = text
            before = Path.cwd()
            try:
                if change_directory:
                    os.chdir(Path(file).parent)
                _execute(_parse(text, file), file, text, namespace)
            finally:
                os.chdir(before)


def _python_files(path: str, known: Mapping[str, str] | None) -> list[str]:
    if known is not None:
        return [file for file in known if file == path or file.startswith(path + os.sep)]
    if not os.path.isdir(path):  # noqa: PTH112
        if not os.path.exists(path):  # noqa: PTH110
            print(f"tar_source(): no file or folder {path}, ignored.", file=sys.stderr)  # noqa: T201
            return []
        if path.endswith(".py"):
            return [path]
        print(f"tar_source(): {path} is no .py file, ignored.", file=sys.stderr)  # noqa: T201
        return []
    found = []
    for folder, folders, names in os.walk(path):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")]  # noqa: PTH118
    return found


def _parse(text: str, file: str) -> ast.Module:
    try:
        return ast.parse(text, file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{file}, line {line}" if line else file
        shown = f": {error.text.strip()}" if isinstance(error, SyntaxError) and error.text else ""
        raise TarValidateError(f"{place}: {getattr(error, 'msg', error)}{shown}") from None


def _execute(tree: ast.Module, file: str, text: str, namespace: dict[str, Any]) -> None:
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(tree, file, "exec", dont_inherit=True), namespace)  # noqa: S102 - the user's script


def _remedy(error: Exception) -> str:
    """How to install a package of ours that the script imports."""
    extra = EXTRAS.get(error.name or "") if isinstance(error, ModuleNotFoundError) else None
    return f": pip install 'targets-py[{extra}]'" if extra else ""


def _place(file: str, error: BaseException) -> str:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{file}, line {line}" if line else file


def _refuse_recursion(tree: ast.Module, file: str) -> None:
    pending: list[ast.AST] = [node for node in tree.body if not _is_main_guard(node)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name in RUNNERS:
                raise TarValidateError(
                    f"{file}, line {node.lineno}: infinite recursion: the script must not call {name}(), "
                    "which reads the script"
                )
        pending += ast.iter_child_nodes(node)


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") in {
        "__name__ == '__main__'",
        "'__main__' == __name__",
    }


def script_namespace(options: Options, module: types.ModuleType) -> dict[str, Any]:
    """Where commands find their globals."""
    if options.envir is None:
        return vars(module)
    return vars(options.envir) if isinstance(options.envir, types.ModuleType) else options.envir


def collect_targets(namespace: Mapping[str, Any], file: str) -> dict[str, Target]:
    """The targets in the attribute `pipeline` of a script.

    Raises:
        TarValidateError: There is none, it holds something else than targets, or two of one name.
    """
    if "pipeline" not in namespace:
        raise TarValidateError(f'{file} must define a list called "pipeline"')
    targets: dict[str, Target] = {}
    places: dict[str, str] = {}
    for place, leaf in _leaves(namespace["pipeline"], "pipeline"):
        if not isinstance(leaf, Target):
            raise TarValidateError(f"{place} must be a target, not {type(leaf).__name__} {leaf!r}")
        if leaf.name in targets:
            raise TarValidateError(
                f"duplicate target names: {leaf.name} ({places[leaf.name]} and {place} of {file})"
            )
        if leaf.command is None:
            raise TarValidateError(f"target {leaf.name} has no command")
        targets[leaf.name] = leaf
        places[leaf.name] = place
    return targets


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    items: Iterator[tuple[Any, Any]]
    if value is None:
        return
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, (list, tuple)):
        items = iter(enumerate(value))
    else:
        yield place, value
        return
    for key, item in items:
        yield from _leaves(item, f"{place}[{key!r}]")


def _warn_about_names(pipeline: Pipeline) -> None:
    if os.environ.get("TAR_WARN", "").lower() == "false":
        return
    lower: dict[str, str] = {}
    for name, target in pipeline.targets.items():
        other = lower.setdefault(name.lower(), name)
        if other != name:
            _warn(f"targets {other} and {name} differ in case only: some file systems do not tell them apart")
        if name in pipeline.namespace and not _is_target_itself(pipeline.namespace[name], target):
            _warn(f"{name} is both a target and a global of the script; commands get the target")


def _is_target_itself(value: Any, target: Target) -> bool:
    """Whether a global of a target's name is the target, its function, or one of this package's names."""
    if value is target or (target.command is not None and value is target.command.value):
        return True
    return (getattr(value, "__module__", None) or "").startswith("targets_py.")


def _warn(message: str) -> None:
    warnings.warn(message, TarValidateWarning, stacklevel=2)


def _forget_modules(before: Mapping[str, types.ModuleType]) -> None:
    """Let the next script import its own modules; those that were there before stay."""
    for name, module in list(project_modules(str(Path.cwd()))):
        if before.get(name) is not module:
            del sys.modules[name]
    sys.modules.pop(MODULE, None)
    if MODULE in before:
        sys.modules[MODULE] = before[MODULE]
