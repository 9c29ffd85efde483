"""A pipeline of many small steps, beside pytask and doit: `python run.py [steps] [rounds]`.

Each tool gets the same work: a file of numbers, a step for each number that calls a helper and stores the
result, and one step that sums all results. Measured are whole commands, the interpreter's start included, on
one core, in turns: the first run; a run in which nothing has changed; one after a comment in the helper; one
after its code. Printed are seconds, medians over the rounds, and how many steps ran in the last three. A tool
that is not installed is left out.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

HELPER = """
def scale(number):
    return number * 2
"""

TARGETS = """
from targets_py import *
from helper import scale

tar_source("helper.py")
pipeline = [
    tar_target("numbers", lambda: list(range({n}))),
    tar_target("scaled", lambda numbers: scale(numbers), pattern=map("numbers")),
    tar_target("total", lambda scaled: sum(scaled)),
]
"""

PYTASK = """
import pickle
from pathlib import Path
from typing import Annotated

from pytask import DirectoryNode, PickleNode, Product, task
from helper import scale

OUT = [PickleNode(path=Path(f"out/{{i}}.pkl").absolute()) for i in range({n})]

for i in range({n}):
    @task(id=str(i))
    def task_scale(number: int = i) -> Annotated[int, OUT[i]]:
        return scale(number)

def task_total(values: Annotated[list, OUT]) -> Annotated[int, PickleNode(path=Path("total.pkl").absolute())]:
    return sum(values)
"""

DOIT = """
import pickle
from pathlib import Path
from helper import scale

def step(number):
    Path(f"out/{{number}}.pkl").write_bytes(pickle.dumps(scale(number)))

def total():
    values = [pickle.loads(Path(f"out/{{i}}.pkl").read_bytes()) for i in range({n})]
    Path("total.pkl").write_bytes(pickle.dumps(sum(values)))

def task_scale():
    for i in range({n}):
        made = f"out/{{i}}.pkl"
        yield {{"name": i, "actions": [(step, [i])], "targets": [made], "file_dep": ["helper.py"]}}

def task_total():
    parts = [f"out/{{i}}.pkl" for i in range({n})]
    return {{"actions": [total], "targets": ["total.pkl"], "file_dep": parts}}
"""

PYTHON = [sys.executable, "-m"]
TOOLS = {  # module: script, its file, command, what in its output tells of a step that ran
    "targets_py": (
        TARGETS, "_targets.py", [*PYTHON, "targets_py", "make", "--reporter", "verbose"],
        r"^completed (target|branch)",
    ),
    "pytask": (PYTASK, "task_steps.py", [*PYTHON, "pytask"], r"task_steps\.py::.* │ \. "),
    "doit": (DOIT, "dodo.py", [*PYTHON, "doit"], r"^\.  "),
}  # fmt: skip
EDITS = {
    "first": lambda code: code,
    "nothing changed": lambda code: code,
    "comment": lambda code: code + "# Twice as much.\n",
    "code": lambda code: code.replace("* 2", "* 3"),
}


def run(command: list[str], steps: str) -> tuple[float, int]:
    """Seconds that a command takes, and how many steps it ran."""
    begun = time.perf_counter()
    ended = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "100"},
    )
    seconds = time.perf_counter() - begun
    return seconds, len(re.findall(steps, ended.stdout, re.MULTILINE))


def measure(tool: str, n: int) -> dict[str, tuple[float, int]]:
    script, file, command, steps = TOOLS[tool]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("out").mkdir()
        Path(file).write_text(script.format(n=n))
        code = HELPER
        found = {}
        for edit, change in EDITS.items():
            time.sleep(1.1)  # file systems and doit tell changes by their time, in whole seconds
            code = change(code)
            if not Path("helper.py").exists() or Path("helper.py").read_text() != code:
                Path("helper.py").write_text(code)
            found[edit] = run(command, steps)
        os.chdir("/")
    return found


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    tools = [tool for tool in TOOLS if find_spec(tool)]
    results = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            results[tool].append(measure(tool, n))
    print(f"{n} steps and a sum, seconds (steps that ran)")
    print(f"{'':12}", *(f"{edit:>17}" for edit in EDITS))
    for tool, runs in results.items():
        cells = [
            f"{statistics.median(found[edit][0] for found in runs):8.2f} ({runs[-1][edit][1]:4d})"
            for edit in EDITS
        ]
        print(f"{tool:12}", *(f"{cell:>17}" for cell in cells))


if __name__ == "__main__":
    main()
