import io
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cloudpickle
import pytest

from targets_py.child import call_runner, callr_r, callr_r_bg, tar_callr_args_default
from targets_py.errors import TarError, TarRunError, TarValidateError

# A child cannot import this file by name: its functions travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_value_comes_back_from_another_process():
    pid, x = callr_r(lambda x: (__import__("os").getpid(), x), {"x": [1, {"a": None}]})
    assert pid != os.getpid()
    assert x == [1, {"a": None}]


def test_the_child_is_a_fresh_interpreter(monkeypatch):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path, "/somewhere/else"])

    def look():
        import os
        import sys
        from pathlib import Path

        return {
            "pytest": "pytest" in sys.modules,
            "polars": "polars" in sys.modules,
            "seed": os.environ["PYTHONHASHSEED"],
            "path": sys.path[-1],
            "cwd": str(Path.cwd()),
            "stdin": sys.stdin.read(),
        }

    assert callr_r(look) == {
        "pytest": False,
        "polars": False,
        "seed": "0",
        "path": "/somewhere/else",
        "cwd": str(Path.cwd()),
        "stdin": "",
    }


def test_environment_directory_and_hash_seed_can_be_given(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")

    def look():
        import os
        from pathlib import Path

        return os.environ["COLOUR"], os.environ["PYTHONHASHSEED"], str(Path.cwd())

    assert callr_r(look, env={"COLOUR": "green"}, cwd=tmp_path) == ("green", "7", str(tmp_path))


def test_an_exception_keeps_its_class_and_text():
    with pytest.raises(ZeroDivisionError, match="division by zero") as caught:
        callr_r(lambda: 1 / 0)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_exception_that_cannot_travel_keeps_its_text():
    def fail():
        class TwoArgumentsError(Exception):
            def __init__(self, first, second):
                super().__init__(f"{first} and {second}")

        raise TwoArgumentsError(1, 2)

    with pytest.raises(TarRunError, match="1 and 2") as caught:
        callr_r(fail)
    assert caught.value.condition_class[:2] == ("TwoArgumentsError", "Exception")
    assert "in fail" in caught.value.traceback


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (lambda: __import__("os")._exit(3), "ended with exit code 3 and without a result"),
        (lambda: __import__("os").kill(__import__("os").getpid(), 9), "killed by SIGKILL"),
    ],
)
def test_a_child_that_dies_is_reported(ending, text):
    with pytest.raises(TarRunError, match=text):
        callr_r(ending)


def test_an_interpreter_that_does_not_exist():
    with pytest.raises(TarValidateError, match=r"python='/no/python'"):
        callr_r(lambda: 1, python="/no/python")


def speak():
    import sys

    print("to stdout ü")
    print("to stderr", file=sys.stderr)


def test_output_is_relayed_each_to_its_own_stream(capsys):
    callr_r(speak)
    assert tuple(capsys.readouterr()) == ("to stdout ü\n", "to stderr\n")


def test_output_is_relayed_while_the_child_runs(monkeypatch, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    class Opener(io.StringIO):
        def write(self, text):
            if "first" in text:
                gate.write_text("go")  # returns only when the child, still running, reads it
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Opener())

    def work(gate):
        print("first")
        from pathlib import Path

        return Path(gate).read_text()

    assert callr_r(work, {"gate": str(gate)}) == "go"


def test_output_is_inherited_when_it_is_real(tmp_path):
    code = (
        "from targets_py.child import callr_r\n"
        "print('before')\n"
        "callr_r(lambda: print('inside'))\n"
        "print('after')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["before", "inside", "after"]


def test_output_can_be_joined_dropped_or_filed(capsys, tmp_path):
    callr_r(speak, stderr="2>&1")
    assert capsys.readouterr().out.splitlines() == ["to stdout ü", "to stderr"]
    callr_r(speak, stdout="1>&2")
    assert capsys.readouterr().err.splitlines() == ["to stdout ü", "to stderr"]
    callr_r(speak, show=False)
    assert tuple(capsys.readouterr()) == ("", "")
    callr_r(speak, stdout=tmp_path / "sub" / "log", stderr="2>&1")
    assert (tmp_path / "sub" / "log").read_text().splitlines() == ["to stdout ü", "to stderr"]
    assert tuple(capsys.readouterr()) == ("", "")


SLEEPER = """
import os, signal, sys, time
from targets_py.child import callr_r

def sleep(path):
    import os, time
    try:
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60)
    except KeyboardInterrupt:
        with open(path + ".interrupted", "a") as file:
            file.write("x")
        raise

try:
    callr_r(sleep, {"path": sys.argv[1]})
except KeyboardInterrupt:
    sys.exit(99)
"""


def start_sleeper(path, **options):
    os.mkfifo(path)
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER, str(path)], **options)
    return parent, int(path.read_text())


def test_an_interrupt_of_the_parent_alone_is_forwarded(tmp_path):
    path = tmp_path / "pid"
    parent, _ = start_sleeper(path)
    parent.send_signal(signal.SIGINT)
    assert parent.wait(20) == 99
    assert (tmp_path / "pid.interrupted").read_text() == "x"


def test_a_terminal_interrupt_of_both_counts_once(tmp_path):
    path = tmp_path / "pid"
    parent, _ = start_sleeper(path, start_new_session=True)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(20) == 99
    assert (tmp_path / "pid.interrupted").read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is not its own")
def test_the_child_ends_with_a_killed_parent(tmp_path):
    path = tmp_path / "pid"
    parent, pid = start_sleeper(path)
    child = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    assert select.select([child], [], [], 20)[0]
    os.close(child)
    assert (tmp_path / "pid.interrupted").read_text() == "x"


def test_a_background_process():
    with callr_r_bg(lambda x: print("working") or x + 1, {"x": 1}) as process:
        assert process.pid != os.getpid()
        assert process.get_result() == 2
        assert process.get_result() == 2
        assert not process.is_alive()
        assert process.read_output() == "working\n"
        assert process.read_output() == ""
        assert repr(process) == f"<BackgroundProcess pid={process.pid} ended with code 0>"


def test_a_background_process_that_fails():
    with callr_r_bg(lambda: 1 / 0) as process:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                process.get_result()


def test_a_background_process_waits_and_is_killed(tmp_path):
    with callr_r_bg(lambda: __import__("time").sleep(60)) as process:
        assert not process.wait(timeout=0.01)
        assert process.is_alive()
        assert "running" in repr(process)
        process.kill()
        with pytest.raises(TarRunError, match="SIGKILL"):
            process.get_result()


def test_background_processes_that_nobody_holds_run_on(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def work(gate):
        from pathlib import Path

        Path(gate).write_text("done")

    callr_r_bg(work, {"gate": str(gate)})
    assert gate.read_text() == "done"
    from targets_py.child.background import _running

    for process in list(_running):
        process.close()


def test_a_supervised_background_process_ends_with_its_parent(tmp_path):
    path = tmp_path / "pid"
    os.mkfifo(path)
    code = SLEEPER.replace("callr_r", "callr_r_bg").replace("\nexcept", "\n    sys.stdin.read()\nexcept")
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE)
    path.read_text()
    parent.communicate()  # its exit handler waits for the child
    assert parent.returncode == 0
    assert (tmp_path / "pid.interrupted").read_text() == "x"


def test_an_unsupervised_background_process_outlives_its_parent(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = (
        "import sys\n"
        "from targets_py.child import callr_r_bg\n"
        "def work(gate):\n"
        "    open(gate).read()\n"
        "    open(gate + '.done', 'w').write('x')\n"
        "callr_r_bg(work, {'gate': sys.argv[1]}, supervise=False)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(gate)], check=True, timeout=20)
    gate.write_text("go")
    done = tmp_path / "gate.done"
    deadline = time.monotonic() + 20
    while not (done.exists() and done.read_text()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def failing(text):
    raise ValueError(text)


def invalid(text):
    raise TarValidateError(text)


def failing_target(text):
    raise TarRunError(
        text, target="x", original=KeyError("k"), traceback="lines", condition_class=("KeyError",)
    )


class TwoArgumentsError(TarError):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")

    def __reduce__(self):
        return restore, (str(self),)


def restore(text):
    error = TwoArgumentsError("", "")
    error.args = (text,)
    return error


def failing_ones_own_way(text):
    raise TwoArgumentsError(text, 2)


@pytest.mark.parametrize("callr_function", [callr_r, None, lambda func, args: func(**args)])
class TestErrorsOfRunners:
    def call(self, function, callr_function):
        call_runner(function, {"text": "bad 1"}, callr_function, None, "tar_make")

    def test_any_exception_becomes_a_run_error(self, callr_function):
        with pytest.raises(TarRunError) as caught:
            self.call(failing, callr_function)
        assert str(caught.value).startswith("Error in tar_make():\n  bad 1\n  See `targets errors")
        assert caught.value.condition_class == ("ValueError", "Exception", "BaseException", "object")
        assert repr(caught.value.original) == "ValueError('bad 1')"
        assert caught.value.traceback.endswith("ValueError: bad 1")
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_an_error_of_ours_keeps_its_class(self, callr_function):
        with pytest.raises(TarValidateError, match=r"^Error in tar_make\(\):\n  bad 1$"):
            self.call(invalid, callr_function)

    def test_a_failed_target_keeps_its_details(self, callr_function):
        with pytest.raises(TarRunError, match="bad 1") as caught:
            self.call(failing_target, callr_function)
        error = caught.value
        assert (error.target, error.traceback, error.condition_class) == ("x", "lines", ("KeyError",))
        assert repr(error.original) == "KeyError('k')"

    def test_an_error_class_of_a_user_is_kept_too(self, callr_function):
        with pytest.raises(TwoArgumentsError, match=r"Error in tar_make\(\):\n  bad 1 and 2"):
            self.call(failing_ones_own_way, callr_function)

    def test_an_exit_does_not_end_the_session(self, callr_function):
        with pytest.raises(TarRunError):
            self.call(sys.exit, callr_function)


def test_unknown_callr_arguments_are_listed():
    with pytest.raises(TypeError, match="unknown callr_arguments shw: callr_r takes show, stdout"):
        call_runner(failing, {"text": ""}, callr_r, {"shw": True}, "tar_make")
    with pytest.raises(TypeError, match="show: callr_r_bg takes stdout"):
        call_runner(failing, {"text": ""}, callr_r_bg, {"show": True}, "tar_make")


def test_defaults_of_callr_arguments():
    assert tar_callr_args_default(None) == {}
    assert tar_callr_args_default(print) == {}
    assert tar_callr_args_default(callr_r)["show"] is True
    assert tar_callr_args_default(callr_r_bg)["supervise"] is True
    callr_r(lambda: None, **tar_callr_args_default(callr_r))


def test_run_errors_survive_pickling():
    error = TarRunError("text", target="x", original=ValueError("v"), traceback="t", condition_class=("A",))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.target, copy.traceback, copy.condition_class) == ("text", "x", "t", ("A",))
