import shlex

import pytest

import mirai_py
from mirai_py import daemons, launch_remote, mirai, remote_config


def test_without_a_command_nothing_is_started(listening):
    commands = launch_remote(2, remote_config(python="uv run python"), compute=listening[0])
    assert all(" uv run python -c " in command for command in commands)
    assert mirai_py.info(listening[0])["cumulative"] == 0


def test_words_of_the_daemons_command_take_the_place_of_the_dot(fresh, program, connected, python):
    start = program('shift 4; exec "$@"\n')
    daemons(
        1,
        url=mirai_py.local_url(tcp=True),
        remote=remote_config(f"{start} -n 1", ["--mem '5 12'", "."], python),
        compute=fresh,
    )
    assert connected(fresh, 1) == 1
    (words,) = start.runs()
    assert words[:4] == ["-n", "1", "--mem", "5 12"]
    assert words[4:] == shlex.split(launch_remote(remote=remote_config(python=python), compute=fresh)[0])


def test_quoted_it_is_one_argument(fresh, program, connected, python):
    start = program('exec sh -c "$3"\n')
    config = remote_config(str(start), ("-f", "host", "."), python, quote=True)
    daemons(2, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert connected(fresh, 2) == 2
    (command, *_) = launch_remote(remote=remote_config(python=python), compute=fresh)
    assert start.runs() == [["-f", "host", command]] * 2


def test_several_lists_of_arguments_make_a_launch_each(listening, program):
    profile, _ = listening
    start = program()
    config = remote_config(str(start), [["a", "."], ["b", "."]], quote=True)
    launched = launch_remote(1, config, compute=profile)
    assert len(launched) == 2
    with pytest.raises(
        ValueError, match="`n` must equal the length of `args`, or either must be 1: they are 3 and 2"
    ):
        launch_remote(3, config, compute=profile)


def test_a_list_of_one_list_serves_any_number(listening):
    assert len(launch_remote(3, remote_config(args=[["."]]), compute=listening[0])) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"args": ["invalid"]}, ValueError, "`.` must be an element of `args`"),
        ({"args": [["."], ["x"]]}, ValueError, "`.` must be an element of `args`"),
        ({"args": "."}, TypeError, "`args` must be a list"),
        ({"args": []}, TypeError, "`args` must be a list"),
        ({"args": [["."], "."]}, TypeError, "not a mixture"),
        ({"args": [".", 5]}, TypeError, "`args` must be a str, not 5"),
        ({"args": [".", "it's"]}, ValueError, "`args` cannot be split into words: No closing quotation"),
        ({"command": 5}, TypeError, "`command` must be a str"),
        ({"python": ""}, ValueError, "`python` must name an interpreter"),
        ({"python": None}, TypeError, "`python` must be a str"),
        ({"quote": 1}, TypeError, "`quote` must be True or False, not 1"),
    ],
)
def test_bad_arguments_are_named(arguments, error, told):
    with pytest.raises(error, match=told):
        remote_config(**arguments)


def test_a_program_that_is_missing_is_an_error_and_leaves_the_profile_unset(fresh):
    config = remote_config("/nonexistent/launcher")
    with pytest.raises(
        mirai_py.MiraiLaunchError, match="cannot run '/nonexistent/launcher' to start a daemon"
    ):
        daemons(1, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_program_that_fails_later_is_told_in_the_log(fresh, program, caplog, logged):
    start = program("echo 'no such partition' >&2; exit 3\n")
    with logged("a launcher of daemons failed"):
        daemons(1, url=mirai_py.local_url(tcp=True), remote=remote_config(str(start)), compute=fresh)
    assert "ended with exit code 3; the last it wrote:\nno such partition" in caplog.text
    assert mirai_py.daemons_set(fresh)


def test_what_daemons_write_appears_here_if_asked_for(fresh, capfd, python):
    config = remote_config("env", python=python)
    daemons(1, url=mirai_py.local_url(tcp=True), remote=config, output=True, compute=fresh)
    mirai("print('said', flush=True)", _compute=fresh).collect()
    assert capfd.readouterr().out == "said\n"


@pytest.mark.parametrize(
    ("n", "options", "error", "told"),
    [
        (
            None,
            {"remote": "ssh", "url": "tcp://127.0.0.1:0"},
            TypeError,
            "`remote` must come from remote_config",
        ),
        (1, {"remote": remote_config()}, ValueError, "`remote` needs a `url`"),
        (None, {"remote": remote_config(), "url": "tcp://127.0.0.1:0"}, TypeError, "`n` is missing"),
    ],
)
def test_daemons_with_a_remote_need_a_number_and_a_url(n, options, error, told, fresh):
    with pytest.raises(error, match=told):
        daemons(*([] if n is None else [n]), compute=fresh, **options)
    assert not mirai_py.daemons_set(fresh)


def test_ctrl_c_does_not_reach_what_was_started(fresh, program, connected, python):
    """The program has a session of its own, as daemons started here have."""
    config = remote_config("env", python=python)
    daemons(1, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    sessions = mirai("import os; os.getsid(0) == os.getpid()", _compute=fresh).collect()
    assert sessions is True
