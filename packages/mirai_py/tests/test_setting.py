import re
import threading

import pytest

import mirai_py
import nngsock
from mirai_py import daemons, info, mirai, status


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        ((), {}, TypeError, "`n` is missing"),
        (("4",), {}, TypeError, "`n` must be numeric, not '4'"),
        ((True,), {}, TypeError, "`n` must be numeric"),
        ((-1,), {}, ValueError, "zero or greater, not -1"),
        ((1.5,), {}, ValueError, "whole number"),
        ((), {"url": 5}, TypeError, "`url` must be of type character"),
        ((1,), {"dispatcher": 1}, TypeError, "`dispatcher` must be True or False"),
        ((1,), {"seed": "1"}, TypeError, "`seed` must be a whole number"),
        ((1,), {"batch": 0}, ValueError, "`batch` must be a whole number, 1 or greater"),
        ((1,), {"unknown": 1}, TypeError, "unknown argument 'unknown'; options of a daemon are: asyncdial"),
        ((1,), {"maxtasks": -1}, ValueError, "`maxtasks` must be a whole number, 1 or greater"),
        ((1,), {"idletime": "x"}, ValueError, "`idletime` must be a number"),
        ((1,), {"timerstart": 1.5}, ValueError, "`timerstart` must be a whole number"),
        ((1,), {"cleanup": 1}, TypeError, "`cleanup` must be True or False"),
        ((1,), {"autoexit": "x"}, TypeError, "`autoexit` must be True, False or None"),
        ((1,), {"output": 3}, TypeError, "`output` must be True, False or a path"),
        ((1,), {"compute": 3}, TypeError, "`compute` must be the name"),
        ((1,), {"memory": "5"}, TypeError, "`memory` must be a number of MB"),
        ((1,), {"remote": []}, TypeError, r"`remote` must come from remote_config\(\)"),
        ((1,), {"tls": "x"}, ValueError, "`tls` goes with a `url` of tls"),
        ((1,), {"serial": "x"}, TypeError, "`serial` must be what serial_config"),
        ((1,), {"dispatcher": 0}, TypeError, "`dispatcher` must be True or False"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_set(arguments, options, error, told, fresh):
    with pytest.raises(error, match=told):
        daemons(*arguments, **{"compute": fresh, **options})
    assert not mirai_py.daemons_set(fresh)


def test_bad_arguments_leave_the_daemons_that_are_set(fresh):
    daemons(sync=True, compute=fresh)
    with pytest.raises(TypeError):
        daemons(1, seed="x", compute=fresh)
    assert mirai_py.daemons_set(fresh)


def test_daemons_are_connected_on_return_and_gone_after_the_reset(fresh, ended):
    assert daemons(2, compute=fresh)
    assert info(fresh) == {
        "connections": 2, "cumulative": 2, "awaiting": 0, "executing": 0, "completed": 0,
    }  # fmt: skip
    pids = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    assert not daemons(0, compute=fresh)
    assert info(fresh) is None
    assert all(ended(pid, 0) for pid in pids)
    assert not daemons(0, compute=fresh)


def test_a_whole_float_is_a_number_of_daemons(fresh):
    daemons(1.0, compute=fresh)
    assert info(fresh)["connections"] == 1


def test_a_context_manager_sets_resets_and_makes_current(fresh):
    with daemons(1, compute=fresh) as d:
        assert mirai(abs, -3).collect() == 3
        assert repr(d) == f"< daemons [{fresh}: set] >"
        with mirai_py.with_daemons(fresh):
            assert mirai_py.require_daemons()
    assert not mirai_py.daemons_set(fresh)
    assert repr(d) == f"< daemons [{fresh}: not set] >"


def test_a_context_manager_resets_after_an_exception(fresh):
    with pytest.raises(KeyError), daemons(1, compute=fresh):
        raise KeyError
    assert not mirai_py.daemons_set(fresh)


def test_setting_again_resets_first(fresh):
    daemons(1, compute=fresh)
    (pid,) = mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect()
    daemons(1, compute=fresh)
    assert mirai_py.everywhere("import os; os.getpid()", _compute=fresh).collect() != [pid]
    assert info(fresh)["cumulative"] == 1


def test_other_profiles_are_untouched(fresh, one):
    daemons(1, compute=fresh)
    daemons(0, compute=fresh)
    assert mirai(abs, -1, _compute=one).collect() == 1


def test_with_daemons_switches_and_needs_a_profile_that_is_set(one):
    @mirai_py.with_daemons(one)
    def inside():
        return mirai_py.daemons_set()

    assert inside()
    with pytest.raises(mirai_py.DaemonsNotSetError), mirai_py.with_daemons("nobody"):
        pass


def test_local_daemons_switches_until_the_stack_closes(one):
    import contextlib

    with contextlib.ExitStack() as stack:
        mirai_py.local_daemons(one, stack)
        assert mirai_py.daemons_set()


def test_the_error_of_missing_daemons_shows_what_to_paste():
    with pytest.raises(mirai_py.DaemonsNotSetError) as e:
        mirai_py.require_daemons("nobody")
    assert "mirai_py.daemons(4, compute='nobody')" in str(e.value)
    assert isinstance(e.value, mirai_py.MiraiException)
    assert isinstance(e.value, RuntimeError)


def test_listening_starts_nothing_and_tells_the_real_port(fresh):
    daemons(url="tcp://127.0.0.1:0", compute=fresh)
    url = mirai_py.nextget("url", compute=fresh)
    assert re.fullmatch(r"tcp://127\.0\.0\.1:[1-9]\d*", url)
    assert info(fresh)["connections"] == 0
    assert mirai_py.nextget("n", compute=fresh) == 1
    m = mirai(abs, -2, _compute=fresh)
    assert mirai_py.launch_local(compute=fresh) == 1
    assert m.collect() == 2


def test_the_first_of_several_urls_is_taken(fresh):
    daemons(url={"lo": "tcp://127.0.0.1:0", "other": "nonsense"}, compute=fresh)
    assert status(fresh)["daemons"].startswith("tcp://127.0.0.1:")


def test_a_url_that_cannot_be_listened_at_leaves_the_profile_unset(fresh):
    with pytest.raises(nngsock.NngError):
        daemons(url="tcp://192.0.2.1:1", compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_the_token_of_the_environment_is_used(fresh, monkeypatch):
    monkeypatch.setenv("MIRAI_PY_TOKEN", "mine")
    daemons(url=mirai_py.local_url(), compute=fresh)
    assert mirai_py.nextget("env", compute=fresh) == {"MIRAI_PY_TOKEN": "mine"}


def test_threads_that_set_the_same_profile_leave_one_set_and_nothing_else(fresh):
    errors = []

    def start():
        try:
            daemons(1, compute=fresh)
        except mirai_py.DaemonsNotSetError:
            errors.append(1)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) < 3
    assert mirai(abs, -1, _compute=fresh).collect() == 1
    assert info(fresh)["connections"] == 1


def test_daemons_of_a_hosts_numeric_threads(fresh, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    source = "import os; os.environ.get('OMP_NUM_THREADS')"
    with daemons(1, compute=fresh):
        assert mirai(source).collect() == "1"
        mirai_py.stop_daemons(1)
        mirai_py.launch_local(1, threads=None)
        assert mirai(source).collect() in (None, "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with daemons(1, compute=fresh):
        assert mirai(source).collect() == "3"


def test_a_certificate_cannot_be_made_without_the_extra_whose_name_is_told(fresh, without):
    without("cryptography")
    with pytest.raises(mirai_py.MissingExtraError, match=r'pip install "mirai-nng\[tls\]"'):
        daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_plain_tcp_beyond_loopback_is_warned_of_once(fresh, caplog, monkeypatch):
    monkeypatch.setattr("mirai_py.addresses._warned", False)
    for url in ("tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://localhost:0", mirai_py.local_url()):
        daemons(url=url, compute=fresh)
    assert not caplog.records
    daemons(url="tcp://0.0.0.0:0", compute=fresh)
    url = status(fresh)["daemons"]
    daemons(url="tcp://0.0.0.0:0", compute=fresh)
    assert [r.getMessage() for r in caplog.records] == [
        f"what travels on {url} is not encrypted: tls+tcp:// makes a key and certificate by itself"
    ]
