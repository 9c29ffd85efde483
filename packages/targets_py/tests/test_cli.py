"""The command line, called as its users call it, mostly without a process of its own."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from targets_py.cli import main

SCRIPT = """
print("noise of the script")

def double(value):
    print("noise of a target")
    return 2 * value

pipeline = [
    tar_target("x", [1, 2], description="numbers"),
    tar_target("y", lambda x: double(x), pattern=map("x")),
    tar_target("z", lambda y: {"sum": sum(y)}),
]
"""
BAD = (
    'pipeline = [tar_target("good", 1), tar_target("bad", lambda: 1 / 0), tar_target("end", lambda bad: bad)]'
)


def run(capfd, *arguments):
    """Exit code and output of a command."""
    code = main(list(arguments))
    out, err = capfd.readouterr()
    return code, out, err


def names(out):
    return out.split()


def test_make_and_what_follows(project, capfd):
    project.script(SCRIPT)
    code, out, err = run(capfd, "make")
    assert code == 0
    assert "noise of a target" in out
    assert "ended pipeline" in err
    assert run(capfd, "outdated")[:2] == (0, "noise of the script\n")
    assert names(run(capfd, "objects", "z")[1]) == ["z"]
    assert run(capfd, "read", "y")[1] == "[2, 4]\n"
    assert run(capfd, "read", "y", "--branches", "1,-2")[1] == "[4, 2]\n"
    assert run(capfd, "progress", "z")[1].split()[-5:] == ["z", "stem", "z", "0", "completed"]
    code, out, err = run(capfd, "make", "-q", "z")
    assert (code, err) == (0, "")


def test_names_are_selectors(project, capfd):
    project.script(SCRIPT)
    assert run(capfd, "make", "-q", "x*", "!z")[0] == 0
    assert names(run(capfd, "objects")[1]) == ["x"]


@pytest.mark.parametrize("mode", ["stop", "continue"])
def test_a_failing_target_is_exit_code_1(project, capfd, mode):
    project.script(f'tar_option_set(error="{mode}")\n{BAD}')
    code, _, err = run(capfd, "make")
    assert code == 1
    assert "division by zero" in err
    assert ("2 targets produced errors" in err) is (mode == "continue")
    out = run(capfd, "errors")[1]
    assert "division by zero" in out
    assert "in <lambda>" not in out
    assert "in <lambda>" in run(capfd, "errors", "-v")[1]
    assert run(capfd, "traceback", "bad")[1].splitlines()[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    "arguments",
    [
        ("make", "nope"),
        ("make", "--reporter", "loud"),
        ("make", "--nonsense"),
        ("nonsense",),
        ("read", "nope"),
        ("meta", "--fields", "nope"),
        ("outdated", "--script", "nowhere.py"),
        ("destroy", "everything", "--yes"),
        ("config", "get", "workers"),
        ("config", "set", "store"),
        ("read", "x", "--branches", "a"),
    ],
)
def test_wrong_usage_names_and_scripts_are_exit_code_2(project, capfd, arguments):
    project.make(SCRIPT)
    capfd.readouterr()
    code, out, err = run(capfd, *arguments)
    assert code == 2
    assert err
    assert "Traceback" not in out + err


def test_exit_code_of_outdated(project, capfd):
    project.script(SCRIPT)
    assert run(capfd, "outdated")[0] == 0
    assert run(capfd, "outdated", "--exit-code")[0] == 1
    project.make()
    capfd.readouterr()
    assert run(capfd, "outdated", "--exit-code")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("make",),
        ("make", "--in-process"),
        ("outdated", "--branches", "--all"),
        ("sitrep",),
        ("why", "x"),
        ("validate",),
        ("manifest", "--fields", "all"),
        ("network",),
        ("mermaid", "--targets-only"),
        ("meta",),
        ("progress",),
        ("progress", "--branches"),
        ("progress", "--summary"),
        ("errors",),
        ("errors", "-v"),
        ("objects",),
        ("read", "z"),
        ("process",),
        ("prune", "--list"),
        ("config", "get", "store"),
        ("config", "projects"),
        ("config", "show"),
        ("visnetwork", "-o", "graph.svg"),
        ("read", "nope"),
        ("make", "nope"),
        ("outdated", "--script", "nowhere.py"),
    ],
)
def test_json_is_one_document_and_nothing_else(project, capfd, arguments):
    project.script(
        SCRIPT.replace('print("noise of the script")', "") if "--in-process" in arguments else SCRIPT
    )
    if "--in-process" in arguments:
        project.script('pipeline = [tar_target("x", 1)]')
    else:
        project.make()
    capfd.readouterr()
    _, out, _ = run(capfd, *arguments, "--json")
    json.loads(out)


def test_what_json_holds(project, capfd):
    project.make(SCRIPT)
    capfd.readouterr()

    def document(*arguments):
        return json.loads(run(capfd, *arguments, "--json")[1])

    row = document("meta", "x")[0]
    assert list(row)[:3] == ["name", "type", "data"]
    assert row["time"].endswith("Z")
    assert row["error"] is None
    found = document("network", "--targets-only")
    assert [vertex["name"] for vertex in found["vertices"]] == ["x", "y", "z"]
    assert found["edges"] == [{"from": "x", "to": "y"}, {"from": "y", "to": "z"}]
    assert document("read", "z") == {"sum": 6}
    assert document("make")["skipped"] == 4
    error = document("read", "nope")["error"]
    assert error["class"] == "TarValidateError"
    assert "nope" in error["message"]
    assert error["target"] is None


def test_json_of_a_failed_target(project, capfd):
    project.script(BAD)
    code, out, _ = run(capfd, "make", "--json")
    assert code == 1
    assert json.loads(out)["error"]["target"] == "bad"


def test_values_as_files(project, capfd):
    pl = pytest.importorskip("polars")
    project.make("""
    import polars as pl
    pipeline = [tar_target("frame", lambda: pl.DataFrame({"a": [1, 2]})), tar_target("number", 5)]
    """)
    assert run(capfd, "read", "frame", "-o", "f.parquet")[0] == 0
    assert pl.read_parquet("f.parquet")["a"].to_list() == [1, 2]
    assert run(capfd, "read", "frame", "-o", "f.csv")[0] == 0
    assert Path("f.csv").read_text() == "a\n1\n2\n"
    assert run(capfd, "read", "frame", "-o", "f.json")[0] == 0
    assert json.loads(Path("f.json").read_text()) == [{"a": 1}, {"a": 2}]
    assert "shape: (2, 1)" in run(capfd, "read", "frame")[1]
    assert json.loads(run(capfd, "read", "frame", "--json")[1]) == [{"a": 1}, {"a": 2}]
    assert run(capfd, "read", "number", "-o", "n.csv")[0] == 2
    assert run(capfd, "read", "number", "-o", "n.txt")[0] == 2


def test_values_of_other_libraries_in_json(project, capfd):
    pytest.importorskip("numpy")
    pytest.importorskip("pandas")
    project.make("""
    def frame():
        import pandas as pd
        return pd.DataFrame({"a": [1]})
    def numbers():
        import numpy as np
        return {"x": np.arange(2), "y": np.float64(0.5), "z": {3}}
    pipeline = [tar_target("frame", frame), tar_target("numbers", numbers)]
    """)
    assert json.loads(run(capfd, "read", "numbers", "--json")[1]) == {"x": [0, 1], "y": 0.5, "z": [3]}
    pytest.importorskip("pyarrow")
    assert json.loads(run(capfd, "read", "frame", "--json")[1]) == [{"a": 1}]


def test_json_has_no_nan(project, capfd):
    project.make('pipeline = [tar_target("x", [float("nan"), float("inf"), 1.5])]')
    assert json.loads(run(capfd, "read", "x", "--json")[1]) == [None, None, 1.5]


def test_a_reader_that_has_seen_enough_is_no_error(project):
    project.make(SCRIPT)
    source, sink = os.pipe()
    os.close(source)
    command = [sys.executable, "-m", "targets_py", "meta", "--json"]
    child = subprocess.run(command, stdout=sink, stderr=subprocess.PIPE, text=True, check=False)
    os.close(sink)
    assert child.stderr == ""


def test_inspection(project, capfd):
    project.script(SCRIPT)
    assert names(run(capfd, "outdated")[1])[-3:] == ["x", "y", "z"]
    assert names(run(capfd, "outdated", "--all", "-q")[1])[-4:] == ["double", "x", "y", "z"]
    assert "never built" in run(capfd, "why", "x")[1]
    assert "numbers" in run(capfd, "manifest")[1]
    assert "graph LR" in run(capfd, "mermaid")[1]
    assert run(capfd, "visnetwork", "-o", "v.html")[1].endswith("v.html\n")
    assert run(capfd, "glimpse", "-o", "g.svg", "--all")[1].endswith("g.svg\n")
    assert "<svg" in Path("g.svg").read_text()
    assert "double" in Path("v.html").read_text()
    assert run(capfd, "validate")[0] == 0
    assert run(capfd, "sitrep", "--fields", "meta")[1].split()[-4:] == ["x", "true", "z", "true"]


def test_cleaning(project, capfd):
    project.make(SCRIPT)
    run(capfd, "invalidate", "x")
    assert "x" not in project.records
    run(capfd, "delete", "z", "-q")
    assert not (project.store.objects / "z").exists()
    project.script("pipeline = []")
    assert names(run(capfd, "prune", "--list")[1])[-3:-1] == sorted(project.records["y"].children)
    run(capfd, "prune", "-q")
    assert project.records == {}
    run(capfd, "unblock")
    assert not project.store.process_file.exists()
    run(capfd, "destroy", "progress")
    assert not project.store.progress_file.exists()
    run(capfd, "destroy", "--yes")
    assert not project.store.exists()


def test_projects_and_settings(project, capfd, monkeypatch):
    monkeypatch.setenv("TAR_PROJECT", "main")
    monkeypatch.setenv("TAR_CONFIG", "_targets.yaml")
    assert (
        run(capfd, "config", "set", "store=st", "label=time,size", "label_width=7", "shortcut=true")[0] == 0
    )
    assert run(capfd, "config", "get", "store")[1] == "st\n"
    assert run(capfd, "config", "get", "label")[1] == '["time", "size"]\n'
    run(capfd, "config", "set", "inherits=main", "--project", "two")
    assert names(run(capfd, "config", "projects")[1]) == ["main", "two"]
    shown = run(capfd, "config", "show", "--project", "two")[1]
    assert [line.split() for line in shown.splitlines() if line.startswith(("store", "script"))] == [
        ["script", "_targets.py", "default"],
        ["store", "st", "main"],
    ]
    run(capfd, "config", "unset", "store", "--project", "main")
    assert run(capfd, "config", "get", "store", "--project", "main")[1] == "_targets\n"
    run(capfd, "config", "set", "store=other", "--config", "c.yaml", "--project", "main")
    assert "other" in Path("c.yaml").read_text()


def test_script_and_store_of_a_command(project, capfd):
    Path("s.py").write_text('from targets_py import *\npipeline = [tar_target("x", 1)]\n')
    assert run(capfd, "make", "-q", "--script", "s.py", "--store", "st")[0] == 0
    assert run(capfd, "read", "x", "--store", "st")[1] == "1\n"
    assert not project.store.exists()


def test_setting_up(project, capfd, monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert run(capfd, "init")[0] == 0
    assert run(capfd, "make", "-q")[0] == 0
    assert run(capfd, "read", "total")[1] == "31\n"
    assert run(capfd, "edit")[1] == "_targets.py\n"
    for shell in ("bash", "zsh", "fish"):
        assert "_TARGETS_COMPLETE" in run(capfd, "completion", shell)[1]


def test_names_are_completed_from_the_metadata(project):
    project.make(SCRIPT)
    (project.folder / "_targets.py").write_text("raise SystemExit('the script was run')")
    code = "import sys\nfrom targets_py.cli import main\nsys.exit(main())"
    environment = {
        **os.environ,
        "_TARGETS_COMPLETE": "bash_complete",
        "COMP_WORDS": "targets read ",
        "COMP_CWORD": "2",
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert [line.partition(",")[2] for line in run.stdout.split()] == ["x", "y", "z"]


def test_watching_ends_in_time(project, capfd):
    assert run(capfd, "poll", "--timeout", "0.01")[1].endswith("timed out after 0.01 seconds.\n")


def test_help_and_version(project, capfd):
    code, out, _ = run(capfd, "--help")
    assert code == 0
    assert "Exit codes" in out
    assert "make" in out
    assert run(capfd, "--version")[1].startswith("targets, version ")
    assert "NAMES" in run(capfd, "make", "-h")[1]


def test_the_debugger_stops_before_a_target(project):
    project.script("""
    def double(value):
        return value * 2
    pipeline = [tar_target("x", 21), tar_target("y", lambda x: double(x))]
    """)
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "targets_py", "make", "--debug", "y"]
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "dumb"}
    )
    os.close(slave)
    os.write(master, b"p ('seen', x + 1)\ncontinue\n")
    output = b""
    try:
        while data := os.read(master, 65536):
            output += data
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(master)
    assert child.wait(20) == 0
    assert b"('seen', 22)" in output
    assert project.value("y") == 42


def test_in_the_background_it_goes_on_when_the_command_has_returned(project):
    for name in ("go", "done"):
        os.mkfifo(name)
    project.script("""
    from pathlib import Path
    def wait():
        print("waiting")
        return Path("go").read_text()
    def tell(x):
        Path("done").write_text(x)
    pipeline = [tar_target("x", wait), tar_target("y", lambda x: tell(x))]
    """)
    command = [sys.executable, "-m", "targets_py", "make", "--background"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert "job.log" in shown.stderr
    Path("go").write_text("now")
    assert Path("done").read_text() == "now"
    assert "waiting" in Path("_targets/meta/job.log").read_text()


@pytest.mark.parametrize("extra", [(), ("--in-process",)])
def test_an_interruption_is_exit_code_130(project, extra):
    os.mkfifo("started")
    project.script("""
    import time
    from pathlib import Path
    def wait():
        Path("started").write_text("x")
        time.sleep(60)
    pipeline = [tar_target("x", wait)]
    """)
    child = subprocess.Popen(
        [sys.executable, "-m", "targets_py", "make", *extra],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    Path("started").read_text()
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
