"""The pages tell the truth: their examples run as they stand, commands exist, every public name is there."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from targets_py.cli.app import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = {
    "nngsock": "sockets",
    "mirai_py": "tasks",
    "crew_py": "workers",
    "targets_py": "pipelines",
    "autometric_py": "resources",
}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text()))
]
COMMAND = re.compile(r"(?:^    |`)targets ([a-z]+)", re.MULTILINE)


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code, tmp_path):
    is_pipeline = re.search("^pipeline = ", code, re.MULTILINE)
    name = "_targets.py" if is_pipeline else "example.py"
    (tmp_path / name).write_text(code)
    command = ["-m", "targets_py", "make"] if is_pipeline else ["-W", "error", name]
    run = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert run.returncode == 0, run.stderr


def test_commands_of_targets_that_are_named_exist():
    pages = [page for page in PAGES if page.parent.name != "parity"]  # where some are told to be open
    named = {word for page in pages for word in COMMAND.findall(page.read_text())}
    assert named > {"make", "read", "outdated"}
    unknown = [word for word in sorted(named) if CliRunner().invoke(cli, [word, "--help"]).exit_code != 0]
    assert unknown == []


@pytest.mark.parametrize("layer", GUIDES)
def test_every_layer_has_a_guide_a_reference_and_a_migration_table(layer):
    assert (ROOT / "docs" / "guides" / f"{GUIDES[layer]}.md").exists()
    assert (ROOT / "docs" / "reference" / f"{layer}.md").exists()
    assert (ROOT / "docs" / "parity" / f"{layer}.md").exists()


@pytest.mark.parametrize("layer", GUIDES)
def test_every_public_name_stands_in_the_reference(layer):
    module = importlib.import_module(layer)
    page = (ROOT / "docs" / "reference" / f"{layer}.md").read_text()
    written = set(re.findall(r"`([\w.]+)`", page))
    missing = [name for name in module.__all__ if not is_shown(layer, name, module) and name not in written]
    assert missing == []


def is_shown(layer, name, module):
    """Whether the page made of docstrings shows the name: it is defined in this layer, and so called."""
    value = getattr(module, name)
    is_defined = inspect.isclass(value) or inspect.isfunction(value)
    return (
        is_defined and value.__name__ == name and value.__module__.startswith(layer)
    ) or name == "__version__"
