import json
import os
import signal
from pathlib import Path

import pytest

import mirai_py
from mirai_py import daemons, local_url, mirai, ssh_config

pytestmark = pytest.mark.cluster


def config(ssh, remotes, python, **options):
    return ssh_config(remotes, command=ssh.command, python=python, **options)


@pytest.mark.parametrize("scheme", ["tcp", "tls+tcp"])
def test_daemons_dial_back_directly_and_end_with_their_host(scheme, ssh, fresh, python, pids, ended):
    daemons(2, url=f"{scheme}://127.0.0.1:0", remote=config(ssh, ssh.direct, python), compute=fresh)
    found = pids(fresh, 2)
    assert len({*found}) == 2
    assert mirai("import os; os.environ['SSH_CONNECTION']", _compute=fresh).collect().startswith("127.0.0.1 ")
    assert mirai_py.mirai_map(range(20), lambda x: x + 1, _compute=fresh).collect() == [*range(1, 21)]
    daemons(0, compute=fresh)
    assert all(ended(pid) for pid in found)


def test_daemons_that_cannot_reach_the_host_come_through_the_tunnel(ssh, fresh, python, pids, ended):
    remote = config(ssh, ssh.enclosed, python, tunnel=True)
    daemons(3, url=local_url(tcp=True), remote=remote, compute=fresh)
    found = pids(fresh, 3)
    network = mirai("import os; os.readlink('/proc/self/ns/net')", _compute=fresh).collect()
    assert network != str(Path("/proc/self/ns/net").readlink())
    assert mirai(sum, [1] * 1_000_000, _compute=fresh).collect() == 1_000_000
    daemons(0, compute=fresh)
    assert all(ended(pid) for pid in found)


def test_several_remotes_get_a_daemon_each(ssh, fresh, python, pids):
    daemons(2, url=local_url(tcp=True), remote=config(ssh, [ssh.direct] * 2, python), compute=fresh)
    assert len(pids(fresh, 2)) == 2


def test_options_with_all_kinds_of_quotes_arrive(ssh, fresh, python, pids, tmp_path):
    path = str(tmp_path / """it's "here" $HOME `x` \\n.log""")
    daemons(1, url=local_url(tcp=True), remote=config(ssh, ssh.direct, python), output=path, compute=fresh)
    pids(fresh, 1)
    mirai("print('said', flush=True)", _compute=fresh).collect()
    assert Path(path).read_text() == "said\n"


def test_a_server_that_refuses_is_an_error_and_leaves_the_profile_unset(ssh, fresh):
    remote = ssh_config("ssh://127.0.0.1:1", command=ssh.command)
    with pytest.raises(mirai_py.MiraiLaunchError, match=r"exit code 255(?s:.*)[Cc]onnection refused"):
        daemons(1, url=local_url(tcp=True), remote=remote, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_user_without_a_key_there_is_an_error(ssh, fresh):
    remote = ssh_config(ssh.direct.replace("root@", "nobody@"), command=ssh.command)
    with pytest.raises(mirai_py.MiraiLaunchError, match="Permission denied"):
        daemons(1, url=local_url(tcp=True), remote=remote, compute=fresh)


def test_an_interpreter_that_is_missing_there_is_told_in_the_log(ssh, fresh, logged):
    with logged("/nonexistent/python"):
        daemons(
            1, url=local_url(tcp=True), remote=config(ssh, ssh.direct, "/nonexistent/python"), compute=fresh
        )


HOST = """
import json, sys, mirai_py
url, begun, options = json.loads(sys.argv[1])
mirai_py.daemons(2, url=url, remote=mirai_py.ssh_config(**options))
pids = mirai_py.everywhere("import os; os.getpid()", _min=2).collect()
task = mirai_py.mirai("import time; open(begun, 'w').close(); time.sleep(600)", begun=begun)
open(begun).read()
print(json.dumps(pids), flush=True)
task.collect()
"""


@pytest.mark.parametrize("way", ["direct", "enclosed"])
def test_when_the_host_is_killed_its_daemons_end_busy_or_not(way, ssh, python, host, ended, tmp_path):
    options = {
        "remotes": getattr(ssh, way), "tunnel": way == "enclosed", "command": ssh.command, "python": python,
    }  # fmt: skip
    os.mkfifo(tmp_path / "begun")
    process = host(HOST, json.dumps([local_url(tcp=True), str(tmp_path / "begun"), options]))
    found = json.loads(process.stdout.readline())
    assert len({*found}) == 2
    process.send_signal(signal.SIGKILL)
    assert all(ended(pid) for pid in found)
