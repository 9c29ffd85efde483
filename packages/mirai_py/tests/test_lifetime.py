import fcntl
import os
import subprocess
import sys

import pytest

from mirai_py import lifetime

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")


def test_a_process_gets_sigterm_when_the_other_end_is_gone():
    reader, writer = os.pipe()
    source = (
        f"from mirai_py.lifetime import die_with_host; die_with_host({reader}); print(flush=True);"
        "sum(range(10**12))"
    )
    process = subprocess.Popen([sys.executable, "-c", source], pass_fds=[reader], stdout=subprocess.PIPE)
    process.stdout.readline()
    os.close(reader)
    os.close(writer)
    assert process.wait(10) == -15
    process.stdout.close()


def test_a_host_that_is_gone_already_is_noticed():
    reader, writer = os.pipe()
    os.close(writer)
    source = f"from mirai_py.lifetime import die_with_host; die_with_host({reader}); print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", source], pass_fds=[reader], capture_output=True, timeout=20, check=False
    )
    os.close(reader)
    assert (done.returncode, done.stdout) == (-15, b"")


def test_there_is_one_line_and_children_do_not_inherit_its_writer():
    line = lifetime.life_line()
    assert lifetime.life_line() is line
    assert fcntl.fcntl(line.writer, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_without_a_line_nothing_happens():
    lifetime.die_with_host(None)
