import os
import queue
import signal
import sys

import pytest

import mirai_py
from mirai_py import daemons, mirai


def test_launch_local_needs_daemons_and_a_profile_with_processes(fresh):
    with pytest.raises(mirai_py.DaemonsNotSetError, match="daemons must be set"):
        mirai_py.launch_local(compute=fresh)
    daemons(sync=True, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match="cannot be launched for synchronous"):
        mirai_py.launch_local(compute=fresh)


PROGRAM = "import os, mirai_py; before = {before}; mirai_py.daemon({url!r})"


def run_program(compute, before="0", program=PROGRAM, **options):
    source = program.format(before=before, url=mirai_py.nextget("url", compute=compute))
    return mirai_py.launch_process([sys.executable, "-c", source], compute=compute, **options)


def test_a_program_becomes_a_daemon_that_is_seen_out(fresh, monkeypatch):
    monkeypatch.setattr(mirai_py.profiles, "LEAVE_SECONDS", 10)  # time enough on any machine
    daemons(url=mirai_py.local_url(), compute=fresh)
    daemon = run_program(fresh, "os.environ.get('NAME')", env={**os.environ, "NAME": "given"})
    source = "(os.getpid(), before, os.getsid(0), {'MIRAI_PY_TOKEN', 'MIRAI_PY_LOCAL'} & os.environ.keys())"
    assert mirai(source, _compute=fresh).collect() == (daemon.pid, "given", daemon.pid, set())
    assert daemon.returncode is None
    assert repr(daemon) == f"< daemon [pid {daemon.pid}, running] >"
    daemons(0, compute=fresh)
    assert daemon.wait(10)
    assert daemon.returncode == 0
    assert repr(daemon) == f"< daemon [pid {daemon.pid}, exit status 0] >"


def test_of_a_batch_of_a_program_only_the_running_task_is_lost_also_if_it_had_to_dial_again(fresh):
    """What the host passes serves a program that calls daemon() again after it was refused."""
    daemons(url=mirai_py.local_url(), compute=fresh)
    program = """if True:
        import os, mirai_py, nngsock
        token = os.environ["MIRAI_PY_TOKEN"]
        try:
            mirai_py.daemon("tcp://127.0.0.1:1")
        except nngsock.NngError:
            os.environ["MIRAI_PY_TOKEN"] = token
            mirai_py.daemon({url!r})
    """
    daemon = run_program(fresh, program=program)

    def task(i, deadly):
        import os

        return os._exit(7) if i == deadly else i

    for _ in range(10):  # it learns that they are quick
        mirai(task, 0, None, _compute=fresh).call()
    mirais = [mirai(task, i, 20, _compute=fresh) for i in range(50)]
    assert mirais[20].collect() == 19
    assert mirais[20].data.detail["exit_code"] == 7
    assert daemon.wait(10)
    assert daemon.returncode == 7
    run_program(fresh)
    assert [m.collect() for m in mirais] == [19 if i == 20 else i for i in range(50)]


def test_the_end_of_a_program_is_told_and_its_output_goes_where_it_should(fresh, tmp_path):
    daemons(url=mirai_py.local_url(), compute=fresh)
    told = queue.SimpleQueue()
    with (tmp_path / "out").open("wb") as out:
        daemon = mirai_py.launch_process(
            [sys.executable, "-c", "import sys; print('words'); sys.exit(3)"], compute=fresh, stdout=out
        )
        daemon.when_ended(told.put, patience=None)
        assert told.get(timeout=20) == {"exit_code": 3}
    assert (tmp_path / "out").read_text() == "words\n"
    daemon.signal(signal.SIGTERM)  # harmless
    assert daemon.returncode == 3


def test_a_program_needs_daemons_words_and_a_file(fresh):
    with pytest.raises(mirai_py.DaemonsNotSetError, match="daemons must be set"):
        mirai_py.launch_process(["true"], compute=fresh)
    daemons(url=mirai_py.local_url(), compute=fresh)
    for command in ("true", [], [1]):
        with pytest.raises(TypeError, match="`command` must be a sequence of strings"):
            mirai_py.launch_process(command, compute=fresh)
    with pytest.raises(mirai_py.MiraiLaunchError, match="cannot start a daemon with '/nonexistent'"):
        mirai_py.launch_process(["/nonexistent"], compute=fresh)
    daemons(sync=True, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match="cannot be launched for synchronous"):
        mirai_py.launch_process(["true"], compute=fresh)


def test_the_number_of_daemons_changes_while_tasks_run(fresh, gate, ended):
    daemons(1, compute=fresh)
    running = [mirai(gate.task, gate.argument, i, _compute=fresh) for i in range(2)]
    (first,) = gate.wait()
    mirai_py.launch_local(1, compute=fresh)
    (second,) = gate.wait()
    assert mirai_py.stop_daemons(2, compute=fresh) == 2
    gate.open(2)
    assert [m.collect() for m in running] == [0, 1]
    assert ended(first)
    assert ended(second)
