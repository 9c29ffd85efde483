"""Every developer action is a session: `nox` checks all, `nox -l` lists them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Iterable

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
LAYERS = ("nngsock", "mirai_py", "crew_py", "targets_py", "autometric_py")
DISTRIBUTIONS = {
    "nngsock": "nngsock",
    "mirai_py": "mirai-nng",
    "crew_py": "crew-py",
    "targets_py": "targets-py",
    "autometric_py": "autometric-py",
}
# What a layer needs for no extra, but uses where it is installed.
USED_IF_THERE = {"nngsock": ("polars",), "targets_py": ("numpy", "pandas")}
SUPPORTED = ("3.11", "3.12", "3.13")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({*SUPPORTED, HERE}, key=lambda v: tuple(map(int, v.split("."))))
TEST_GROUP = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test")
TYPES_GROUP = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "types")
LINT_GROUP = nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "lint")

# pyenv keeps its interpreters off PATH; `all_pythons` should find them all the same.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
os.environ["PATH"] = os.pathsep.join(
    [*(str(p) for v in SUPPORTED for p in PYENV.glob(f"{v}.*/bin")), os.environ["PATH"]]
)

nox.options.sessions = ["lint", "types", f"tests-{HERE}", f"integration-{HERE}"]


def project_of(layer: str) -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "packages" / layer / "pyproject.toml").read_text())[
        "project"
    ]
    return table


def extras_of(layer: str) -> list[str]:
    return sorted(project_of(layer).get("optional-dependencies", {}))  # type: ignore[call-overload]


def siblings_of(layer: str, *, with_extras: bool) -> list[str]:
    """The layers below that this one declares, and theirs."""
    project = project_of(layer)
    requirements = list(project["dependencies"])  # type: ignore[call-overload]
    if with_extras:
        for extra in project.get("optional-dependencies", {}).values():  # type: ignore[attr-defined]
            requirements += extra
    found: list[str] = []
    for sibling, distribution in DISTRIBUTIONS.items():
        if any(re.match(rf"{distribution}(\[|==)", r) for r in requirements):
            found += [sibling, *siblings_of(sibling, with_extras=False)]
    return sorted(set(found))


def build_wheels(session: nox.Session, layers: Iterable[str]) -> dict[str, str]:
    """Build the wheels of these layers; returns the path of each."""
    folder = Path(session.virtualenv.location).resolve() / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    wheels = {}
    for layer in layers:
        source = str(ROOT / "packages" / layer)
        if session.venv_backend == "uv":
            session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), source, external=True)
        else:
            session.run("python", "-m", "pip", "--quiet", "wheel", "--no-deps", "-w", str(folder), source)
        (wheels[layer],) = map(str, folder.glob(f"{DISTRIBUTIONS[layer].replace('-', '_')}-*.whl"))
    return wheels


def with_extras(wheel: str, layer: str) -> str:
    """The requirement that installs this wheel with every extra of its layer."""
    extras = ",".join(extras_of(layer))
    return f"{DISTRIBUTIONS[layer]}[{extras}] @ {Path(wheel).as_uri()}" if extras else wheel


def run_tests(
    session: nox.Session,
    *folders: Path,
    options: Iterable[str] = ("-m", "not slow and not cluster"),
    before: Iterable[str] = (),
) -> None:
    """Run pytest from a folder outside every src/, so that only installed code is imported."""
    # Not below .nox: a socket's path may have 107 bytes, and a project may not lie inside an environment.
    with tempfile.TemporaryDirectory(prefix="outside-") as outside, session.chdir(outside):
        session.run(
            *before, "python", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT),
            "-n", str(min(4, os.cpu_count() or 1)), *options, *session.posargs, *map(str, folders),
        )  # fmt: skip


@nox.session(python=PYTHONS)
@nox.parametrize("layer", LAYERS, ids=LAYERS)
def tests(session: nox.Session, layer: str) -> None:
    """One layer alone, from its wheel: first bare, then with its extras."""
    below = siblings_of(layer, with_extras=True)
    wheels = build_wheels(session, [layer, *below])
    bare = [wheels[name] for name in (layer, *siblings_of(layer, with_extras=False))]
    session.install(*bare, *TEST_GROUP)
    session.run("python", str(ROOT / "tests" / "isolation.py"), DISTRIBUTIONS[layer], *TEST_GROUP)
    run_tests(session, ROOT / "packages" / layer / "tests")
    if extras_of(layer):
        session.install(
            with_extras(wheels[layer], layer),
            *(wheels[name] for name in below),
            *USED_IF_THERE.get(layer, ()),
            *TEST_GROUP,
        )
        run_tests(session, ROOT / "packages" / layer / "tests")


def install_all(session: nox.Session, *others: str) -> None:
    wheels = build_wheels(session, LAYERS)
    session.install(*(with_extras(wheels[layer], layer) for layer in LAYERS), "numpy", *others)


@nox.session(python=PYTHONS)
def integration(session: nox.Session) -> None:
    """All five layers together: the tests that cross them."""
    install_all(session, "dask", "scikit-learn", *TEST_GROUP)
    run_tests(session, ROOT / "tests")


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """The tests that take minutes or gigabytes."""
    install_all(session, *TEST_GROUP)
    run_tests(session, ROOT / "packages", ROOT / "tests", options=("-m", "slow", "--timeout", "1800"))


@nox.session(default=False)
def cluster(session: nox.Session) -> None:
    """The launchers on a Slurm and an SSH server that run for this session alone."""
    servers = str(ROOT / "tests" / "servers.py")
    why_not = subprocess.run(
        [sys.executable, servers, "--check"], check=False, capture_output=True, text=True
    )
    if why_not.returncode:
        session.skip(why_not.stderr.strip())
    install_all(session, *TEST_GROUP)
    run_tests(
        session, ROOT / "packages", ROOT / "tests", options=("-m", "cluster"), before=("python", servers)
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Format and rules."""
    session.install(*LINT_GROUP)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy --strict over the five layers, and what their public types promise."""
    requirements = [r for layer in LAYERS for r in requirements_outside(layer)]
    session.install(*sorted(set(requirements)), *TYPES_GROUP)
    session.run("mypy", *(str(ROOT / "packages" / layer / "src" / layer) for layer in LAYERS), "conftest.py")
    # What users are promised: files of `assert_type`, which nothing runs.
    session.run("mypy", *map(str, sorted(ROOT.glob("packages/*/tests/typed_api.py"))))


def requirements_outside(layer: str) -> list[str]:
    """What a layer and its extras need that is not a sibling."""
    project = project_of(layer)
    requirements = list(project["dependencies"])  # type: ignore[call-overload]
    for extra in project.get("optional-dependencies", {}).values():  # type: ignore[attr-defined]
        requirements += extra
    ours = rf"({'|'.join(DISTRIBUTIONS.values())})(\[|==)"
    return [r for r in requirements if not re.match(ours, r)]


@nox.session(python=False, default=False)
def all_pythons(session: nox.Session) -> None:
    """`tests` and `integration` on every supported Python that is installed."""
    skipped = []
    for version in SUPPORTED:
        if not works(f"python{version}"):
            skipped.append(version)
            continue
        for layer in LAYERS:
            session.notify(f"tests-{version}({layer})")
        session.notify(f"integration-{version}")
    session.log(f"skipped, not installed: {', '.join(skipped) or 'none'}")


def works(interpreter: str) -> bool:
    """Whether this interpreter starts (a pyenv shim may stand there for one that is not active)."""
    path = shutil.which(interpreter)
    return (
        path is not None
        and subprocess.run([path, "--version"], check=False, capture_output=True).returncode == 0
    )


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """The main job: the flights pipeline on a worker pool, with its resource log and plots."""
    below = siblings_of("targets_py", with_extras=True)
    wheels = build_wheels(session, ["targets_py", *below])
    session.install(
        with_extras(wheels["targets_py"], "targets_py"), *(wheels[name] for name in below), "numpy"
    )
    with session.chdir(ROOT / "examples" / "flights"):
        session.run("python", "demo.py", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Us and the peers in one run, as ratios: `nox -s bench -- mirai` runs one folder."""
    install_all(session, *(ROOT / "benchmarks" / "requirements.txt").read_text().split())
    for folder in session.posargs or sorted(p.parent.name for p in (ROOT / "benchmarks").glob("*/run.py")):
        session.run("python", str(ROOT / "benchmarks" / folder / "run.py"))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """The five wheels and sdists in dist/, checked."""
    session.install("build", "twine")
    for layer in LAYERS:
        session.run("python", "-m", "build", "--outdir", "dist", str(ROOT / "packages" / layer))
    session.run("twine", "check", "--strict", *map(str, (ROOT / "dist").glob("*")))


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The documentation site, in site/; a broken link or reference fails it."""
    install_all(session, "mkdocs-material", "mkdocstrings[python]", *LINT_GROUP)
    session.run("mkdocs", "build", "--strict")


@nox.session(python=False, default=False)
def version(session: nox.Session) -> None:
    """Set the one version number everywhere: `nox -s version -- 0.2.0`."""
    if len(session.posargs) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", session.posargs[0]):
        session.error("give one version, for example: nox -s version -- 0.2.0")
    (new,) = session.posargs
    for layer in LAYERS:
        (ROOT / "packages" / layer / "src" / layer / "_version.py").write_text(f'__version__ = "{new}"\n')
        file = ROOT / "packages" / layer / "pyproject.toml"
        text = file.read_text()
        for distribution in DISTRIBUTIONS.values():
            text = re.sub(rf'("{distribution}(?:\[[^]]*\])?==)[^"]+"', rf'\g<1>{new}"', text)
        file.write_text(text)
