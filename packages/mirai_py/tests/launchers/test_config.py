import shlex

import pytest

import mirai_py
from mirai_py import daemons, launch_remote


def test_launch_commands_say_where_to_dial_with_which_token_and_what_options(listening):
    profile, port = listening
    token = mirai_py.nextget("env", compute=profile)["MIRAI_PY_TOKEN"]
    (command,) = launch_remote(compute=profile, maxtasks=3, output="a.log")
    assert command == (
        f"env MIRAI_PY_TOKEN={token} python -c "
        f"""'import mirai_py; mirai_py.daemon("tcp://127.0.0.1:{port}", maxtasks=3, output="a.log")'"""
    )


def test_launch_commands_print_ready_to_be_pasted(listening, capsys):
    commands = launch_remote(2, compute=listening[0])
    print(commands)
    assert capsys.readouterr().out == f"[1]\n{commands[0]}\n\n[2]\n{commands[1]}\n\n"
    assert isinstance(commands, mirai_py.LaunchCmd)
    assert isinstance(commands, list)


def test_all_launch_commands_of_a_profile_are_the_same_so_that_job_arrays_work(fresh):
    daemons(url=mirai_py.local_url(tcp=True), seed=1, compute=fresh)
    assert len({*launch_remote(3, compute=fresh)}) == 1


def test_options_of_daemons_are_those_of_launch_remote_unless_it_has_its_own(fresh):
    daemons(url=mirai_py.local_url(tcp=True), maxtasks=7, cleanup=False, compute=fresh)
    (command,) = launch_remote(compute=fresh, maxtasks=8)
    assert "maxtasks=8, cleanup=False" in command


def test_every_option_survives_a_shell(listening):
    path = """it's "here" $HOME `x` \\n é {pid}.log"""
    (command,) = launch_remote(compute=listening[0], output=path, idletime=float("inf"))
    source = shlex.split(command)[-1]
    heard = {}
    fake = type("module", (), {"daemon": lambda url, **options: heard.update(options)})
    exec(source.replace("import mirai_py; ", ""), {"mirai_py": fake})
    assert heard == {"output": path, "idletime": float("inf")}


def test_a_token_of_the_users_is_quoted(fresh, monkeypatch):
    monkeypatch.setenv("MIRAI_PY_TOKEN", "two words; 'x'")
    daemons(url=mirai_py.local_url(tcp=True), compute=fresh)
    (command,) = launch_remote(compute=fresh)
    assert shlex.split(command)[1] == "MIRAI_PY_TOKEN=two words; 'x'"


def test_a_host_that_listens_on_all_addresses_is_dialed_at_one(fresh):
    daemons(url="tcp://0.0.0.0:0", compute=fresh)
    (command,) = launch_remote(compute=fresh)
    address = next(iter(mirai_py.host_url().values())).rpartition(":")[0]
    assert f'daemon("{address}:' in command


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        ((-1,), {}, ValueError, "zero or greater"),
        ((1, "ssh"), {}, TypeError, "`remote` must come from remote_config"),
        ((1,), {"unknown": 1}, TypeError, "unknown argument 'unknown'"),
        ((1,), {"maxtasks": "x"}, TypeError, "`maxtasks` must be numeric"),
    ],
)
def test_bad_arguments_are_named(arguments, options, error, told, listening):
    with pytest.raises(error, match=told):
        launch_remote(*arguments, compute=listening[0], **options)


def test_launch_remote_needs_daemons_that_are_processes(fresh):
    with pytest.raises(mirai_py.DaemonsNotSetError, match="daemons must be set"):
        launch_remote(compute=fresh)
    daemons(sync=True, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match="synchronous compute profiles"):
        launch_remote(compute=fresh)


def test_a_cluster_that_listens_prints_the_commands_and_may_be_launched_whole_or_by_node(capsys):
    with mirai_py.make_cluster(2, url=mirai_py.local_url(tcp=True)) as cluster:
        printed = capsys.readouterr().out
        commands = launch_remote(cluster)
        assert printed == f"{commands}\n"
        assert len(commands) == 2
        assert launch_remote(cluster[0]) == commands[:1]
