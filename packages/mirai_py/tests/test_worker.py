"""daemon() in processes of their own: life-cycle options, exit codes, output."""

import os
import subprocess
import sys

import pytest

import mirai_py
from mirai_py import mirai


@pytest.fixture
def started(fresh):
    """Listen, and start daemons by hand: `started(**options)` gives the process; it prints its exit code."""
    mirai_py.daemons(url=mirai_py.local_url(tcp=True), compute=fresh)
    processes = []

    def start(**options):
        url = mirai_py.nextget("url", compute=fresh)
        arguments = "".join(f", {name}={value!r}" for name, value in options.items())
        reader, writer = os.pipe()
        source = f"import mirai_py, os; os.write({writer}, b'%d' % mirai_py.daemon({url!r}{arguments}))"
        process = subprocess.Popen(
            [sys.executable, "-c", source],
            env={**os.environ, **mirai_py.nextget("env", compute=fresh)},
            pass_fds=[writer],
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        process.code = os.fdopen(reader)
        processes.append(process)
        return process

    start.compute = fresh
    yield start
    mirai_py.daemons(0, compute=fresh)
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()
        process.code.close()


def code_of(process):
    """The exit code that daemon() returned."""
    text = process.code.read()
    assert process.wait(20) == 0, process.stderr.read()
    return int(text)


def test_a_daemon_started_by_hand_serves_and_ends_with_its_host(started):
    process = started()
    assert mirai("import os; os.getpid()", _compute=started.compute).collect() == process.pid
    mirai_py.daemons(0, compute=started.compute)
    assert code_of(process) == 0


def test_an_order_to_leave_is_code_0(started):
    process = started()
    mirai(abs, 1, _compute=started.compute).call()
    assert mirai_py.stop_daemons(1, compute=started.compute) == 1
    assert code_of(process) == 0


def test_idletime_is_code_1_and_not_before_the_first_task(started):
    process = started(idletime=1)
    m = mirai(abs, -1, _compute=started.compute)
    assert m.collect() == 1
    assert code_of(process) == 1


def test_walltime_is_code_2_also_when_idle(started):
    assert code_of(started(walltime=200)) == 2


def test_walltime_is_soft(started):
    process = started(walltime=50)
    assert mirai("import time; time.sleep(0.3); 'done'", _compute=started.compute).collect() == "done"
    assert code_of(process) == 2


def test_walltime_ends_a_daemon_however_much_there_is_to_do(started):
    process = started(walltime=1000, timerstart=10)
    compute = started.compute
    nap = lambda s: __import__("time").sleep(s) or __import__("os").getpid()
    for _ in range(10):  # it learns that they are quick, and sends many together
        mirai(nap, 0, _compute=compute).call()
    waiting = [mirai(nap, 0.1, _compute=compute) for _ in range(20)]
    assert code_of(process) == 2
    mirai_py.launch_local(1, compute=compute)
    pids = [m.collect() for m in waiting]
    assert process.pid in pids
    assert len(set(pids)) == 2  # what it had not begun, another one did


def test_maxtasks_is_code_3(started):
    process = started(maxtasks=2)
    values = [mirai(abs, -i, _compute=started.compute) for i in range(2)]
    assert [m.collect() for m in values] == [0, 1]
    assert code_of(process) == 3


def test_timerstart_starts_the_clocks_after_some_tasks(started):
    process = started(walltime=50, timerstart=2)
    compute = started.compute
    mirai(abs, 1, _compute=compute).call()
    assert mirai("import time; time.sleep(0.2); 1", _compute=compute).collect() == 1
    assert code_of(process) == 2


def test_output_goes_to_a_file_each_whatever_writes_it(started, tmp_path):
    process = started(output=str(tmp_path / "{pid}.log"))
    source = "import os\nprint('from python', flush=True)\nos.system('echo from a child; echo err >&2')"
    mirai(source, _compute=started.compute).call()
    assert (tmp_path / f"{process.pid}.log").read_text() == "from python\nfrom a child\nerr\n"


def test_output_true_leaves_it_and_false_drops_it(started):
    for output, expected in ((True, "heard\n"), (False, "")):
        process = started(output=output, maxtasks=1)
        source = "import os, sys; os.write(2, b'heard\\n'); 1"
        assert mirai(source, _compute=started.compute).collect() == 1
        assert code_of(process) == 3
        assert process.stderr.read() == expected


def test_cleanup_false_keeps_what_tasks_assign(started):
    started(cleanup=False)
    compute = started.compute
    mirai("kept = 5", _compute=compute).call()
    assert mirai("kept", _compute=compute).collect() == 5
    mirai("1", argument=3, _compute=compute).call()
    assert mirai_py.is_mirai_error(mirai("argument", _compute=compute).collect())


def test_a_stream_of_ones_own_is_used(started):
    import random

    from mirai_py.streams import Stream

    state = random.getstate()
    random.seed(Stream(3, 4).seed())
    expected = random.random()
    random.setstate(state)
    started(rs=(3, 4))
    assert mirai("import random; random.random()", _compute=started.compute).collect() == expected


def test_asyncdial_waits_for_a_host_that_comes_later(tmp_path, monkeypatch):
    monkeypatch.setenv("MIRAI_PY_TOKEN", "later")
    url = f"ipc://{tmp_path}/later"
    source = f"import mirai_py; print('dialing', flush=True); mirai_py.daemon({url!r}, asyncdial=True)"
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "dialing\n"
    with mirai_py.daemons(url=url, compute="later"):
        assert mirai("import os; os.getpid()").collect() == process.pid
    assert process.wait(20) == 0
    process.stdout.close()


def test_tasks_run_in_the_main_thread(one):
    source = "import threading; threading.current_thread() is threading.main_thread()"
    assert mirai(source, _compute=one).collect() is True


def test_a_code_that_a_daemon_dropped_is_asked_for_again(fresh):
    mirai_py.daemons(1, compute=fresh)
    f = lambda x: x + 1
    assert mirai(f, 1, _compute=fresh).collect() == 2
    drop = "from mirai_py.codes import current_cache as c; c._bodies.clear(); c._objects.clear(); c._size = 0"
    mirai(drop, _compute=fresh).call()
    table = mirai_py.once([7])
    assert mirai(f, 2, _compute=fresh).collect() == 3
    assert mirai(lambda t: t[0], table, _compute=fresh).collect() == 7
    mirai(drop, _compute=fresh).call()
    assert mirai(lambda t: t[0] + 1, table, _compute=fresh).collect() == 8


def test_large_arguments_and_results_travel(one):
    data = os.urandom(20_000_000)
    assert mirai(lambda b: b, data, _compute=one).collect() == data
    np = pytest.importorskip("numpy")
    array = np.arange(3_000_000.0)
    found = mirai(lambda a: a * 2, array, _compute=one).collect()
    assert (found == array * 2).all()
    found[0] = 5  # it may be written to
    assert mirai(lambda a: a.flags.writeable, array, _compute=one).collect() is True


@pytest.mark.skipif(sys.platform != "linux", reason="names of processes are set on Linux only")
def test_a_daemon_is_named_in_lists_of_processes_and_keeps_its_command_line(one):
    name, command = mirai_py.mirai(
        "[open(f'/proc/self/{file}').read() for file in ('comm', 'cmdline')]", _compute=one
    ).collect()
    assert name == "mirai-daemon\n"
    assert "mirai_py.daemon(" in command
