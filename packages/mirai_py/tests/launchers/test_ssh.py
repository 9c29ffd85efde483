import re

import pytest

import mirai_py
from mirai_py import daemons, launch_remote, ssh_config


def ran(program, remotes, profile, n=1, **options):
    ssh = program()
    commands = launch_remote(n, ssh_config(remotes, command=str(ssh), **options), compute=profile)
    return sorted(ssh.runs()), commands


def test_a_launch_by_ssh_is_exactly_this(listening, program):
    profile, _ = listening
    runs, (command,) = ran(program, "ssh://user@10.75.32.90:222", profile)
    assert runs == [["-o", "ConnectTimeout=10", "-fTp", "222", "user@10.75.32.90", command]]


def test_port_user_and_seconds_have_defaults(listening, program):
    runs, (command,) = ran(program, ["ssh://nodename"], listening[0], timeout=5)
    assert runs == [["-o", "ConnectTimeout=5", "-fTp", "22", "nodename", command]]


def test_an_address_of_ipv6_loses_its_brackets(listening, program):
    runs, _ = ran(program, "ssh://me@[fe80::1]:23", listening[0])
    assert runs[0][-3:-1] == ["23", "me@fe80::1"]


def test_a_user_may_have_a_name_that_a_url_must_escape(listening, program):
    runs, _ = ran(program, "ssh://me%40corp.org@h", listening[0])
    assert runs[0][-2] == "me@corp.org@h"


def test_each_remote_gets_a_launch_and_one_remote_any_number(listening, program):
    profile, _ = listening
    runs, commands = ran(program, ["ssh://a", "ssh://b"], profile)
    assert [run[-2] for run in runs] == ["a", "b"]
    assert len(commands) == 2
    runs, commands = ran(program, "ssh://a", profile, n=4)
    assert [run[-2] for run in runs] == ["a"] * 4
    assert len(commands) == 4


def test_so_many_connections_at_once_as_a_server_takes(listening, program):
    """The ninth ssh is started when the first has returned."""
    ssh = program("""
        cd "$(dirname "$0")"
        [ "$(ls | grep -c '^busy')" -lt 8 ] || exit 99
        touch busy.$$
        sleep 0.05
        rm busy.$$
    """)
    config = ssh_config("ssh://h", command=str(ssh))
    assert len(launch_remote(40, config, compute=listening[0])) == 40
    assert len(ssh.runs()) == 40


def test_a_tunnel_leads_from_the_same_port_there_to_the_real_one_here(listening, program):
    profile, port = listening
    runs, (command,) = ran(program, "ssh://h", profile, tunnel=True)
    assert runs == [["-R", f"{port}:127.0.0.1:{port}", "-o", "ConnectTimeout=10", "-fTp", "22", "h", command]]
    assert f'daemon("tcp://127.0.0.1:{port}")' in command


@pytest.mark.parametrize("url", ["tcp://localhost:0", "tcp://[::1]:0", "ipc:///{folder}/socket"])
def test_a_tunnel_needs_a_host_at_127_0_0_1(url, fresh, program, tmp_path):
    url = url.format(folder=tmp_path)
    config = ssh_config("ssh://h", tunnel=True, command=str(program()))
    with pytest.raises(ValueError, match=r"`tunnel=True` needs a `url` whose host is 127\.0\.0\.1"):
        daemons(1, url=url, remote=config, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_what_sshd_does_with_the_command_makes_a_daemon(fresh, program, connected, python):
    sshd = program('while [ $# -gt 1 ]; do shift; done; sh -c "$1" </dev/null &\n')
    config = ssh_config("ssh://h", command=str(sshd), python=python)
    daemons(2, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert connected(fresh, 2) == 2


def test_a_connection_that_fails_is_an_error_with_what_ssh_said(fresh, program):
    ssh = program('case "$*" in *bad*) echo "Permission denied (publickey)." >&2; exit 255;; esac\n')
    config = ssh_config(["ssh://good", "ssh://bad"], command=str(ssh))
    with pytest.raises(mirai_py.MiraiLaunchError) as told:
        daemons(1, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    text = str(told.value)
    assert re.match("a daemon could not be started: .*program ended with exit code 255", text)
    assert text.endswith("Permission denied (publickey).")
    assert "MIRAI_PY_TOKEN" not in text
    assert not mirai_py.daemons_set(fresh)


def test_a_command_that_fails_there_is_told_in_the_log(fresh, program, logged):
    """ssh is in the background by then; without the message one would wait for ever, knowing nothing."""
    ssh = program('(read _; echo "python: not found" >&2) < "$GO" &\n')
    go = ssh.folder / "go"
    config = ssh_config("ssh://h", command=f"env GO='{go}' {ssh}")
    import os

    os.mkfifo(go)
    hold = os.open(go, os.O_RDWR)
    try:
        with logged("python: not found"):
            daemons(1, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
            os.write(hold, b"go\n")
    finally:
        os.close(hold)


def test_an_interrupt_during_the_connection_ends_ssh(fresh, program, monkeypatch):
    from mirai_py.launchers import process

    def interrupted(running):
        raise KeyboardInterrupt

    monkeypatch.setattr(process._Running, "await_return", interrupted)
    config = ssh_config("ssh://h", command=str(program("exec sleep 600\n")))
    with pytest.raises(KeyboardInterrupt):
        daemons(2, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


@pytest.mark.parametrize(
    "url",
    ["host", "http://host", "ssh://", "ssh://user@", "ssh://host:port", "ssh://host:99999", "ssh://h/path",
     "ssh://user:password@h", "ssh://-oProxyCommand=x", "ssh://a b"],
)  # fmt: skip
def test_what_is_no_url_of_ssh_is_refused(url):
    with pytest.raises(ValueError, match="`remotes` must be URLs like"):
        ssh_config(["ssh://fine", url])


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"remotes": []}, ValueError, "`remotes` is empty"),
        ({"remotes": [5]}, TypeError, "`remotes` must be str, not 5"),
        ({"timeout": 0}, ValueError, "`timeout` must be a number of seconds above 0"),
        ({"timeout": "1"}, ValueError, "`timeout` must be a number of seconds above 0"),
        ({"tunnel": 1}, TypeError, "`tunnel` must be True or False"),
        ({"command": "ssh 'x"}, ValueError, "`command` cannot be split"),
    ],
)
def test_bad_arguments_are_named(options, error, told):
    with pytest.raises(error, match=told):
        ssh_config(**{"remotes": "ssh://h", **options})
