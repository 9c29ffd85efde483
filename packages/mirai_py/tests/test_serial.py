import threading
import types

import pytest

import mirai_py
from mirai_py import serial
from mirai_py.codes import current_cache
from mirai_py.sharing import once


def there_and_back(value):
    codes = []
    body = b"".join(serial.dumps(value, codes))
    for code in codes:
        current_cache.add(code.key, code.body)
    return serial.loads(body)


@pytest.mark.parametrize(
    "value", [None, 1, 2.5, "text", b"bytes", (1, [2, {"a": {3}}]), complex(1, 2), range(3), {1: None}]
)
def test_values_come_back(value):
    assert there_and_back(value) == value


def test_functions_and_classes_that_cannot_be_imported_go_by_value():
    class Local:
        x = 5

    k = 3
    assert there_and_back(lambda x: x + k)(4) == 7
    assert there_and_back([Local])[0].x == 5
    assert there_and_back({"m": types})["m"] is types
    assert there_and_back(Local()).x == 5


def test_large_buffers_stay_beside_the_stream_and_come_back_writable():
    np = pytest.importorskip("numpy")
    array = np.arange(100_000.0)
    parts = serial.dumps({"a": array, "b": array[:10].copy(), "c": array[::2]}, None)
    assert len(parts) > 1
    found = serial.loads(b"".join(parts))
    assert (found["a"] == array).all()
    assert (found["c"] == array[::2]).all()
    found["a"][0] = -1.0
    assert found["a"].flags.writeable


def test_once_travels_as_its_hash():
    heavy = once("x" * 100_000)
    codes = []
    body = b"".join(serial.dumps([heavy, {"again": heavy}], codes))
    assert len(body) < 1000
    assert {c.key for c in codes} == {heavy.code.key}
    assert there_and_back([heavy]) == ["x" * 100_000]


def test_once_beside_what_goes_by_value_is_still_told():
    codes = []
    serial.dumps((lambda: 1, once(5)), codes)
    assert len(codes) == 1
    assert there_and_back((lambda: 1, once(5)))[1] == 5


def test_the_argument_that_cannot_be_sent_is_named():
    call = ((1, threading.Lock()), {}, None)
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"argument 1 of type _thread\.lock"):
        serial.dump_call(*call, [])
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"argument 'a' of type"):
        serial.dump_call((), {"a": [threading.Lock()]}, None, [])


def test_an_object_whose_pickling_raises_anything_is_named():
    class Bad:
        def __reduce__(self):
            raise RuntimeError("never")

    with pytest.raises(mirai_py.MiraiSerializationError, match="never"):
        serial.dump_call((Bad(),), {}, None, [])


def test_subclasses_of_plain_types_keep_their_type():
    class Name(str):
        __slots__ = ()

    assert type(there_and_back(Name("x"))).__name__ == "Name"
