"""Objects of own types travel as what functions of the user make of them."""

import threading

import pytest

import mirai_py
from mirai_py import custom, mirai, mirai_map, serial_config

# As in a script: no daemon can import these.
script = {"__name__": "__main__"}
exec(
    """
import threading

class Handle:
    '''Stands for what pickle cannot send: a connection, a pointer.'''

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()

class Special(Handle):
    pass

class Named:
    def __init__(self, name):
        self.name = name

def to_bytes(handle):
    return handle.name.encode()

def from_bytes(data):
    return ("handle", data.decode())
""",
    script,
)
Handle, Special = script["Handle"], script["Special"]
to_bytes, from_bytes = script["to_bytes"], script["from_bytes"]
CONFIG = serial_config(Handle, to_bytes, from_bytes)


@pytest.fixture
def configured(fresh):
    mirai_py.daemons(1, serial=CONFIG, compute=fresh)
    return fresh


@pytest.fixture
def unregistered(monkeypatch):
    monkeypatch.setattr(custom, "_registered", None)


def test_objects_travel_at_any_depth_and_those_of_subclasses_too(configured):
    value = {"a": [Handle("x"), (Special("y"), 1)]}
    expected = {"a": [("handle", "x"), (("handle", "y"), 1)]}
    assert mirai(lambda v: v, value, _compute=configured).collect() == expected
    assert mirai("v", v=Handle("z"), _compute=configured).collect() == ("handle", "z")
    assert mirai(lambda: g, _globals={"g": Handle("g")}, _compute=configured).collect() == ("handle", "g")  # noqa: F821


def test_what_a_function_refers_to_travels_too(configured):
    held = Handle("held")
    assert mirai(lambda: held, _compute=configured).collect() == ("handle", "held")


def test_maps_and_everywhere_use_it(configured):
    values = mirai_map([Handle("a"), Handle("b")], lambda h, k: (h, k), k=Handle("k"), _compute=configured)
    assert values.collect() == [
        (("handle", "a"), ("handle", "k")),
        (("handle", "b"), ("handle", "k")),
    ]
    mirai_py.everywhere("", given=Handle("e"), _compute=configured).collect()
    assert mirai("given", _compute=configured).collect() == ("handle", "e")


@pytest.mark.parametrize("anew", [True, False])
def test_once_objects_travel_as_their_profile_says(configured, two, anew):
    with mirai_py.with_daemons(configured):
        value = mirai_py.once([Handle("o")], fresh=anew)
        held = Handle("f")
        call = mirai_py.once(lambda x: (x, held))
    assert mirai(call, value, _compute=configured).collect() == ([("handle", "o")], ("handle", "f"))
    mapped = mirai_map([1, 2], lambda i, v: (i, v), v=value, _compute=configured)
    assert mapped.collect() == [(1, [("handle", "o")]), (2, [("handle", "o")])]
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"argument 0 of type .*Once"):
        mirai(len, value, _compute=two)


def test_once_objects_are_pickled_anew_for_another_configuration(configured, fresh, two, unregistered):
    mirai_py.register_serial(script["Named"], to_bytes, lambda data: data.decode())
    value = mirai_py.once(script["Named"]("x"))  # as it is registered, for no profile is current
    other = f"{fresh}-other"
    mirai_py.daemons(1, compute=other)
    try:
        assert mirai(lambda v: v, value, _compute=other).collect() == "x"
    finally:
        mirai_py.daemons(0, compute=other)
    assert mirai(lambda v: v.name, value, _compute=configured).collect() == "x"
    assert mirai(lambda v: v.name, value, _compute=two).collect() == "x"


def test_once_of_what_no_configuration_knows_is_an_error():
    with pytest.raises(mirai_py.MiraiSerializationError, match="`obj` of type Handle"):
        mirai_py.once(Handle("x"))


def test_results_travel_that_way_too(fresh):
    config = serial_config("__main__.Made", lambda _: b"made", lambda data: data.decode().upper())
    mirai_py.daemons(1, serial=config, compute=fresh)
    # The class is found by name where it is: at the daemon.
    source = """
import __main__, threading
class Made:
    def __init__(self):
        self.lock = threading.Lock()
__main__.Made = Made
[Made()]
"""
    assert mirai(source, _compute=fresh).collect() == ["MADE"]

    def made(x):
        import __main__

        class Made:
            lock = x

        __main__.Made = Made
        return Made(), x

    made.__module__ = "__main__"
    assert mirai_map([1, 2], made, _compute=fresh).collect() == [("MADE", 1), ("MADE", 2)]


def test_a_registration_holds_for_later_daemons_and_the_later_one_wins(fresh, unregistered):
    mirai_py.register_serial([Handle, Special], [to_bytes, to_bytes], [from_bytes, from_bytes])
    mirai_py.daemons(1, compute=fresh)
    assert mirai(lambda v: v, Handle("a"), _compute=fresh).collect() == ("handle", "a")
    mirai_py.register_serial(Handle, to_bytes, lambda data: data.decode() + "!")
    assert mirai(lambda v: v, Handle("a"), _compute=fresh).collect() == ("handle", "a")
    mirai_py.daemons(1, compute=fresh)
    assert mirai(lambda v: v, Handle("a"), _compute=fresh).collect() == "a!"
    mirai_py.daemons(1, serial=CONFIG, compute=fresh)
    assert mirai(lambda v: v, Handle("a"), _compute=fresh).collect() == ("handle", "a")


def test_two_profiles_keep_their_own(fresh, two):
    mirai_py.daemons(1, serial=CONFIG, compute=fresh)
    with pytest.raises(mirai_py.MiraiSerializationError, match="argument 0"):
        mirai(lambda v: v, Handle("a"), _compute=two)
    assert mirai(lambda v: v, Handle("a"), _compute=fresh).collect() == ("handle", "a")


def test_a_value_that_is_read_after_the_reset_is_still_read(configured):
    m = mirai("H", H=Handle("late"), _compute=configured).call()
    mirai_py.daemons(0, compute=configured)
    assert m.data == ("handle", "late")


@pytest.mark.parametrize(
    ("sfunc", "told"),
    [
        (lambda _: "text", "Serialization function for `Handle` did not return bytes"),
        (lambda h: h.missing, "missing"),
    ],
)
def test_a_fault_of_the_function_at_the_host_is_raised_there(fresh, sfunc, told):
    mirai_py.daemons(1, serial=serial_config(Handle, sfunc, from_bytes), compute=fresh)
    with pytest.raises(mirai_py.MiraiSerializationError, match=told):
        mirai(lambda v: v, Handle("a"), _compute=fresh)
    assert mirai_py.info(fresh)["awaiting"] == 0


def test_faults_at_the_daemon_are_errors_of_the_task(fresh):
    def broken(data):
        raise LookupError(f"no such handle: {data.decode()}")

    broken.__module__ = "__main__"
    mirai_py.daemons(1, serial=serial_config(Handle, to_bytes, broken), compute=fresh)
    error = mirai(lambda v: v, Handle("a"), _compute=fresh).collect()
    assert mirai_py.is_mirai_error(error)
    assert "no such handle: a" in str(error)
    config = serial_config("__main__.Made", lambda _: 5, from_bytes)
    mirai_py.daemons(1, serial=config, compute=fresh)
    source = "import __main__\nclass Made: pass\n__main__.Made = Made\nMade()"
    error = mirai(source, _compute=fresh).collect()
    assert "cannot serialise the result" in str(error)
    assert "`__main__.Made` did not return bytes" in str(error)
    assert mirai(abs, -1, _compute=fresh).collect() == 1


def test_a_fault_when_the_result_is_read_keeps_its_bytes(fresh):
    def at_the_daemon_only(data):
        import __main__

        return __main__.__dict__["Kept"]()

    at_the_daemon_only.__module__ = "__main__"
    config = serial_config("__main__.Kept", lambda _: b"kept", at_the_daemon_only)
    mirai_py.daemons(1, serial=config, compute=fresh)
    source = "import __main__\nclass Kept: pass\n__main__.Kept = Kept\nKept()"
    error = mirai(source, _compute=fresh).collect()
    assert mirai_py.is_mirai_error(error)
    assert b"kept" in error.raw


def test_a_configuration_that_the_daemon_cannot_read_costs_what_needs_it_alone(fresh, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def read(data):\n    return data\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    mirai_py.daemons(
        url=mirai_py.local_url(), serial=serial_config(Handle, to_bytes, only_here.read), compute=fresh
    )
    (tmp_path / "only_here.py").unlink()
    mirai_py.launch_local(1, compute=fresh)
    error = mirai(lambda v: v, Handle("a"), _compute=fresh).collect()
    assert "a serial_config that cannot be read here: ModuleNotFoundError" in str(error)
    assert mirai(abs, -1, _compute=fresh).collect() == 1


def test_functions_that_cannot_be_sent_are_refused(fresh):
    lock = threading.Lock()
    with pytest.raises(mirai_py.MiraiSerializationError, match="cannot be sent"):
        mirai_py.daemons(1, serial=serial_config(Handle, lambda _: lock, from_bytes), compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_cluster_uses_it():
    with mirai_py.make_cluster(1, serial=CONFIG, initializer=from_bytes, initargs=(b"x",)) as cluster:
        assert cluster.submit(lambda v: v, Handle("a")).result() == ("handle", "a")
        held = Handle("held")
        assert list(cluster.map(lambda v: (v, held), [1, 2], chunksize=2)) == [
            (1, ("handle", "held")),
            (2, ("handle", "held")),
        ]
