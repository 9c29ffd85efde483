"""Arguments that make no sense are told at the call: which one, its value, and what would do."""

import math
import threading
from contextlib import ExitStack

import pytest

import mirai_py
from mirai_py import arguments

LISTEN = "tcp://127.0.0.1:0"
LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: mirai_py.daemons(True), "`n` must be numeric, not True"),
        (lambda: mirai_py.daemons("2"), "`n` must be numeric, not '2'"),
        (lambda: mirai_py.daemons(-1), "`n` must be a whole number, zero or greater, not -1"),
        (lambda: mirai_py.daemons(1.5), "`n` must be a whole number"),
        (lambda: mirai_py.daemons(math.inf), "`n` must be a whole number"),
        (lambda: mirai_py.daemons(math.nan), "`n` must be a whole number"),
        (lambda: mirai_py.daemons(url=5), "`url` must be of type character"),
        (lambda: mirai_py.daemons(url=[]), r"`url` must be of type character .* not \[\]"),
        (lambda: mirai_py.daemons(url="nowhere"), "`url` must be an address such as"),
        (lambda: mirai_py.daemons(url=""), "`url` must be an address such as"),
        (lambda: mirai_py.daemons(1, dispatcher=1), "`dispatcher` must be True or False, not 1"),
        (lambda: mirai_py.daemons(sync="yes"), "`sync` must be True or False"),
        (lambda: mirai_py.daemons(1, seed=1.0), "`seed` must be a whole number or None, not 1.0"),
        (lambda: mirai_py.daemons(1, batch=0), "`batch` must be a whole number, 1 or greater, not 0"),
        (lambda: mirai_py.daemons(1, threads=-1), "`threads` must be a whole number, 1 or greater, not -1"),
        (lambda: mirai_py.daemons(1, memory="much"), "`memory` must be a number of MB"),
        (lambda: mirai_py.daemons(1, serial=5), "`serial` must be what serial_config"),
        (lambda: mirai_py.daemons(1, compute=5), "`compute` must be the name of a compute profile, not 5"),
        (
            lambda: mirai_py.daemons(1, idletme=5),
            "unknown argument 'idletme'; options of a daemon are:",
        ),
        (lambda: mirai_py.daemons(1, remote=5), "`remote` must come from remote_config"),
        (
            lambda: mirai_py.daemons(url="tls+tcp://127.0.0.1:0", tls=5),
            "`tls` must be a PEM file or",
        ),
        (lambda: mirai_py.daemons(url=LISTEN, tls=("a", "b")), "`tls` goes with a `url` of tls"),
        (lambda: mirai_py.status(5), "`compute` must be the name of a compute profile, not 5"),
        (lambda: mirai_py.collect_mirai([], 5), "`options` must be a str"),
        (lambda: mirai_py.collect_mirai([], "fast"), "`options` has the unknown 'fast'"),
        (lambda: mirai_py.make_cluster(0), "`n` must be a whole number, 1 or greater, not 0"),
        (lambda: mirai_py.make_cluster(1, initializer=5), "`initializer` must be a function"),
        (lambda: mirai_py.make_cluster(1, initializer=print, initargs=5), "`initargs` must be a tuple"),
        (lambda: mirai_py.make_cluster(1, compute="mine"), "a compute profile of its own"),
        (lambda: mirai_py.make_cluster(1, sync=True), "`sync` cannot be True"),
        (lambda: mirai_py.stop_cluster(5), "`cl` must be a cluster"),
        (lambda: mirai_py.host_url(tls="yes"), "`tls` must be True or False"),
        (lambda: mirai_py.host_url(port=65536), "`port` must be a whole number from 0 to 65535, not 65536"),
        (lambda: mirai_py.ssh_config(5), "`remotes` must be a URL or a list of them, not 5"),
        (lambda: mirai_py.ssh_config("ssh://node", tunnel=1), "`tunnel` must be True or False"),
        (lambda: mirai_py.mirai_imap([], abs, _window=0), "`_window` must be a whole number, 1 or greater"),
        (lambda: mirai_py.mirai_imap([], abs, _ordered=2), "`_ordered` must be True or False"),
        (lambda: mirai_py.mirai_map([], abs, _promise=5), "`_promise` must be a function, or the pair"),
        (
            lambda: mirai_py.mirai_map([], abs, _promise=(print, print, print)),
            "`_promise` must be a function",
        ),
    ],
)
def test_bad_arguments_are_named_with_their_value_and_what_would_do(call, names):
    with pytest.raises(mirai_py.MiraiException, match=names) as e:
        call()
    assert isinstance(e.value, TypeError | ValueError)
    assert not mirai_py.daemons_set()


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda name: mirai_py.launch_local(-1, compute=name), "`n` must be a whole number, zero or greater"),
        (lambda name: mirai_py.launch_local(None, compute=name), "`n` must be numeric, not None"),
        (lambda name: mirai_py.launch_local(1, compute=name, threads="x"), "`threads` must be numeric"),
        (lambda name: mirai_py.launch_remote("a", compute=name), "`n` must be numeric, not 'a'"),
        (lambda name: mirai_py.launch_remote(1, 5, compute=name), "`remote` must come from remote_config"),
        (lambda name: mirai_py.stop_daemons("a", compute=name), "`n` must be numeric, not 'a'"),
        (lambda name: mirai_py.local_daemons(name, None), "`stack` must be a contextlib.ExitStack"),
    ],
)
def test_so_are_those_of_functions_that_need_daemons(fresh, call, names):
    mirai_py.daemons(url=LISTEN, compute=fresh)
    with pytest.raises(mirai_py.MiraiException, match=names) as e:
        call(fresh)
    assert isinstance(e.value, TypeError | ValueError)
    assert mirai_py.info(fresh)["connections"] == 0


def test_what_cannot_be_looked_up_is_told_with_what_there_is(two):
    mapped = mirai_py.mirai_map({"a": 1, "b": 2}, abs, _compute=two)
    assert mapped[-1].collect() == 2
    with pytest.raises(IndexError, match="the map has 2 elements, none at 5"):
        mapped[5]
    with pytest.raises(KeyError, match="the map has no element named 'c'"):
        mapped["c"]
    with pytest.raises(TypeError, match="`progress` must be True, False, a name or options, not 5"):
        mapped.collect(progress=5)
    with pytest.raises(TypeError, match="`xs` must hold nothing but mirais, no int"):
        next(mirai_py.as_completed([5]))


def test_numbers_of_numpy_are_numbers():
    np = pytest.importorskip("numpy")
    assert arguments.whole_number("n", np.int64(3)) == 3
    assert arguments.whole_number("n", np.float64(3)) == 3
    assert type(arguments.whole_number("n", np.int64(3))) is int
    assert not arguments.is_number(np.bool_(True))


def test_a_stack_that_closes_gives_back_the_profile(fresh):
    mirai_py.daemons(url=LISTEN, compute=fresh)
    with ExitStack() as stack:
        mirai_py.local_daemons(fresh, stack)
        assert mirai_py.daemons_set()
    assert not mirai_py.daemons_set()
