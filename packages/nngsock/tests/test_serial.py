import json
import pickle
import struct
import sys

import pytest

import nngsock
from nngsock.message import take_bytes, take_view
from nngsock.serial import MAGIC, OUT_OF_BAND_SIZE, PICKLE, codec_for, decode_serial, encode_serial


class Block:
    """Bytes that pickle may leave outside its stream, like an array."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return Block, (pickle.PickleBuffer(self.data),)


def round_trip(data, codec=PICKLE):
    return decode_serial(codec, take_view(encode_serial(codec, data)))


@pytest.mark.parametrize("data", [None, 1, "text", b"bytes", [1, {"a": (2.5, None)}], {1, 2}, 10**30])
def test_objects_survive(data):
    assert round_trip(data) == data


def test_plain_objects_are_plain_pickles():
    assert take_bytes(encode_serial(PICKLE, [1])) == pickle.dumps([1], 5)


def test_small_buffers_stay_in_the_pickle():
    encoded = take_bytes(encode_serial(PICKLE, Block(b"x" * OUT_OF_BAND_SIZE)))
    assert encoded.startswith(b"\x80\x05")


def test_large_buffers_travel_beside_it():
    blocks = [Block(bytes([i]) * (OUT_OF_BAND_SIZE + 1 + i)) for i in range(3)]
    encoded = take_bytes(encode_serial(PICKLE, blocks))
    magic, count, *lengths = struct.unpack_from("<4sI4Q", encoded)
    assert (magic, count) == (MAGIC, 3)
    assert lengths[1:] == [len(b.data) for b in blocks]
    end = 8 + 4 * 8 + lengths[0]
    for block, length in zip(blocks, lengths[1:], strict=True):
        start = end + -end % 16
        assert encoded[start : start + length] == block.data
        end = start + length
    assert end == len(encoded)


def test_large_buffers_arrive_as_read_only_views_of_the_message():
    data = b"z" * (1 << 20)
    received = round_trip(Block(data))
    assert isinstance(received.data, memoryview)
    assert received.data.readonly
    assert received.data == data


def test_arrays_arrive_without_a_copy():
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(100_000.0).reshape(100, 1000)
    received = round_trip({"c": array, "fortran": numpy.asfortranarray(array)})
    assert (received["c"] == array).all()
    assert (received["fortran"] == array).all()
    assert not received["c"].flags.writeable


BROKEN = {
    "nothing known": b"hello",
    "empty": b"",
    "a pickle cut short": pickle.dumps(list(range(100)), 5)[:50],
    "a pickle of what does not exist": b"\x80\x05\x8c\x07missing\x8c\x01x\x93.",
    "a frame cut short": MAGIC + b"\x01",
    "a frame with a wrong count": MAGIC + struct.pack("<I", 2**31),
    "a frame with wrong lengths": MAGIC + struct.pack("<IQQ", 1, 2, 2**40) + b"N.",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_read_comes_as_bytes_with_a_warning(data):
    with pytest.warns(nngsock.NngWarning, match="received data could not be unserialized"):
        assert decode_serial(PICKLE, memoryview(data)) == data


def test_without_the_extra_serialized_objects_of_r_come_as_bytes_with_a_warning_that_names_it(
    r_messages, monkeypatch
):
    monkeypatch.setitem(sys.modules, "nngsock.rserial", None)
    for entry in json.loads((r_messages / "index.json").read_text()):
        if entry["mode"].startswith("serial"):
            data = (r_messages / entry["file"]).read_bytes()
            with pytest.warns(nngsock.NngWarning, match=r"pip install nngsock\[r\]"):
                assert decode_serial(PICKLE, memoryview(data)) == data


class TestSerializers:
    def test_json_alone_reads_and_writes(self):
        codec = codec_for("json")
        assert take_bytes(encode_serial(codec, {"a": [1, None]})) == b'{"a":[1,null]}'
        assert round_trip({"a": [1, None]}, codec) == {"a": [1, None]}

    def test_with_json_a_pickle_is_never_read(self):
        data = pickle.dumps("never")
        with pytest.warns(nngsock.NngWarning):
            assert decode_serial(codec_for("json"), memoryview(data)) == data

    def test_an_object_with_dumps_and_loads_serves(self):
        class Reversing:
            @staticmethod
            def dumps(obj):
                return obj[::-1].encode()

            @staticmethod
            def loads(data):
                return data.decode()[::-1]

        assert round_trip("abc", codec_for(Reversing)) == "abc"

    def test_cloudpickle_writes_functions(self):
        pytest.importorskip("cloudpickle")
        assert round_trip(lambda x: x + 1, codec_for("cloudpickle"))(1) == 2

    def test_msgpack_reads_and_writes(self):
        pytest.importorskip("msgpack")
        assert round_trip([1, "a", b"b"], codec_for("msgpack")) == [1, "a", b"b"]

    def test_a_missing_package_is_named_with_its_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "msgpack", None)
        with pytest.raises(ImportError, match=r"pip install nngsock\[msgpack\]"):
            codec_for("msgpack")

    def test_serializer_r_names_its_extra_too(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "nngsock.rwriting", None)
        with pytest.raises(ImportError, match=r"pip install nngsock\[r\]"):
            codec_for("r")

    @pytest.mark.parametrize("value", ["yaml", None, 3])
    def test_anything_else_is_refused(self, value):
        with pytest.raises(TypeError, match="'serializer' must be"):
            codec_for(value)
