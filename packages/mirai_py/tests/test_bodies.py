import errno
import logging
import pickle

import pytest

from mirai_py import bodies, serial, shm
from mirai_py.bodies import OUT_OF_BAND, SHARED_BYTES, Reference
from mirai_py.sharing import share

LARGE = SHARED_BYTES + 5

needs_shm = pytest.mark.skipif(not shm.kind, reason="no shared memory here")


class Holder:
    """An object with one buffer, as arrays have."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return Holder, (pickle.PickleBuffer(self.data),)


def dumped(data, *, share=True):
    return serial.dumps(Holder(data), None, share=share)


@pytest.mark.parametrize("size", [0, 1, OUT_OF_BAND, OUT_OF_BAND + 1, LARGE])
@pytest.mark.parametrize("share", [True, False])
def test_buffers_come_back_as_they_were_and_can_be_written(size, share):
    parts = dumped(bytearray(b"x" * size), share=share)
    found = bodies.loads(b"".join(parts))
    assert bytes(found.data) == b"x" * size
    if size:
        memoryview(found.data)[0] = 1


@needs_shm
@pytest.mark.parametrize("value", ["x" * LARGE, b"x" * LARGE, [b"x" * LARGE], {"a": list(range(LARGE))}])
def test_large_pickles_are_shared_too(value):
    (body,) = serial.dumps(value, None)
    assert isinstance(body, Reference)
    assert len(body) < 200
    assert bodies.loads(body) == value


@needs_shm
def test_what_is_small_is_not_shared():
    assert not isinstance(serial.dumps(b"x" * (SHARED_BYTES // 2), None)[0], Reference)
    assert not isinstance(dumped(bytearray(SHARED_BYTES // 2))[0], Reference)


@pytest.mark.parametrize("share", [True, False])
def test_a_body_does_not_follow_what_it_was_made_of(share):
    data = bytearray(LARGE)
    parts = dumped(data, share=share)
    data[0] = 1
    assert bodies.loads(b"".join(parts)).data[0] == 0


@needs_shm
def test_what_one_reader_writes_no_other_sees():
    (body,) = dumped(bytearray(LARGE))
    first, second = bodies.loads(body), bodies.loads(body)
    first.data[0] = 1
    assert second.data[0] == 0
    assert bodies.loads(body).data[0] == 0


@needs_shm
def test_who_cannot_read_the_memory_gets_the_bytes():
    for value in (Holder(bytearray(b"y" * LARGE)), b"z" * LARGE):
        (body,) = serial.dumps(value, None)
        parts = bodies.inlined(body)
        assert not bodies.is_shared(parts[0])
        found = bodies.loads(b"".join(parts))
        assert bytes(getattr(found, "data", found)) == bytes(getattr(value, "data", value))


@needs_shm
def test_the_memory_lives_as_long_as_the_body_or_what_was_read_from_it():
    (body,) = dumped(bytearray(b"x" * LARGE))
    (place,) = bodies.places_of(body)
    found = bodies.loads(body)
    del body
    assert place.id in shm._live
    assert found.data[-1] == ord("x")
    del found
    assert place.id not in shm._live


@needs_shm
def test_without_memory_it_goes_in_band_with_one_warning(monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(shm.pool, "take", fail)
    monkeypatch.setattr(shm, "_warned", False)
    with caplog.at_level(logging.WARNING, "mirai_py"):
        for _ in range(3):
            parts = dumped(bytearray(b"x" * LARGE))
            assert bytes(bodies.loads(b"".join(parts)).data) == b"x" * LARGE
    assert caplog.text.count("no shared memory is to be had") == 1


# -- share


def test_sharing_arrays_copies_them_once(monkeypatch):
    np = pytest.importorskip("numpy")
    array = np.arange(LARGE, dtype="u1")
    shared = share({"x": array, "name": "a"})
    assert shared["name"] == "a"
    assert (shared["x"] == array).all()
    if not shm.kind:
        return
    assert not shared["x"].flags.writeable
    monkeypatch.setattr(shm.pool, "take", lambda _: pytest.fail("it was copied again"))
    for it in (shared, shared["x"], shared["x"][10:100_010], [shared, 5]):
        (body,) = serial.dumps(it, None)
        assert body.weight == 0
    found = bodies.loads(serial.dumps({"a": shared["x"][10:100_010], "b": "text" * 10}, None)[0])
    assert (found["a"] == array[10:100_010]).all()
    assert found["b"] == "text" * 10
    found["a"][0] = 99
    assert shared["x"][10] == 10


def test_what_is_read_only_stays_so_unless_it_is_shared():
    np = pytest.importorskip("numpy")
    array = np.zeros(LARGE, dtype="u1")
    array.flags.writeable = False
    shared = share(np.ones(LARGE, dtype="u1"))
    body = serial.dumps([array, shared, array.copy()], None)
    found = bodies.loads(body[0] if shm.kind else b"".join(body))
    assert [a.flags.writeable for a in found] == [False, True, True]
    assert [int(a[5]) for a in found] == [0, 1, 0]


def test_sharing_what_has_no_buffers_gives_it_back():
    value = {"a": [1, 2]}
    assert share(value) is value


def test_sharing_what_cannot_be_pickled_is_an_error():
    import threading

    from mirai_py import MiraiSerializationError

    with pytest.raises(MiraiSerializationError, match=r"`x` of type _thread\.lock"):
        share(threading.Lock())


def test_shared_memory_is_free_when_the_object_is_gone():
    np = pytest.importorskip("numpy")
    before = set(shm._live)
    shared = share(np.zeros(LARGE, dtype="u1"))
    view = shared[5:10]
    assert set(shm._live) - before or not shm.kind
    del shared
    assert set(shm._live) - before or not shm.kind
    del view
    assert not set(shm._live) - before
