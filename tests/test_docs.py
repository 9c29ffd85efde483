"""The examples of the README and the guides run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text()))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code, tmp_path):
    (tmp_path / "example.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_every_layer_has_a_guide_a_reference_and_a_migration_table():
    for layer, guide in {
        "nngsock": "sockets",
        "mirai_py": "tasks",
        "crew_py": "workers",
        "targets_py": "pipelines",
        "autometric_py": "resources",
    }.items():
        assert (ROOT / "docs" / "guides" / f"{guide}.md").exists()
        assert (ROOT / "docs" / "reference" / f"{layer}.md").exists()
        assert (ROOT / "docs" / "parity" / f"{layer}.md").exists()
