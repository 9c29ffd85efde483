"""What a message or a page tells to install can be installed: every extra that is named is declared."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECTS = {
    project["name"]: project
    for file in sorted((ROOT / "packages").glob("*/pyproject.toml"))
    for project in [tomllib.loads(file.read_text())["project"]]
}
NAMED = re.compile(rf"\b({'|'.join(PROJECTS)})\[([a-z,]+)\]")
FILES = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "packages/*/README.md",
        "packages/*/src/**/*.py",
        "packages/*/*.toml",
    )
    for path in sorted(ROOT.glob(pattern))
]


@pytest.mark.parametrize("distribution", PROJECTS)
def test_extras_that_are_named_are_declared(distribution):
    declared = set(PROJECTS[distribution].get("optional-dependencies", {}))
    named = {
        extra: path.relative_to(ROOT).as_posix()
        for path in FILES
        for name, extras in NAMED.findall(path.read_text())
        if name == distribution
        for extra in extras.split(",")
    }
    assert {extra: path for extra, path in named.items() if extra not in declared} == {}
