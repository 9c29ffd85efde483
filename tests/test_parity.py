"""What the tables of parity say is true: the tests that they name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "parity").glob("*.md"))
NAMED = re.compile(r"\b(test_\w+\.py)::([\w:]+)")


def defines(code, names):
    return all(re.search(rf"\b(?:def|class) {name}\b", code) for name in names.split("::"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tests_that_a_table_names_exist(page):
    folders = (ROOT / "packages" / page.stem / "tests", ROOT / "tests")
    code = {path: path.read_text() for folder in folders for path in folder.rglob("test_*.py")}
    missing = [
        f"{file}::{names}"
        for file, names in NAMED.findall(page.read_text())
        if not any(path.name == file and defines(text, names) for path, text in code.items())
    ]
    assert missing == []
