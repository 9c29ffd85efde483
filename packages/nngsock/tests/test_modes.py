import json
import math
import struct
from array import array

import pytest

import nngsock
from nngsock.modes import decode_typed, encode_raw, receive_mode, send_mode

NAN = float("nan")


def wire(data):
    return bytes(memoryview(encode_raw(data)))


# What R's nanonext put on the wire for the R expression, and what that is in Python.
RECORDED = [
    ('"abc"', "character", ["abc"]),
    ('""', "character", [""]),
    ('c("a", "", "b")', "character", ["a", "", "b"]),
    ('"h\\u00e9llo \\u4e16"', "character", ["h\u00e9llo \u4e16"]),
    ("character(0)", "character", []),
    ("1:3", "integer", [1, 2, 3]),
    ("c(1L, NA, -2147483647L)", "integer", [1, None, -2147483647]),
    ("c(TRUE, FALSE, NA)", "logical", [True, False, None]),
    ("c(1+2i, NA)", "complex", [1 + 2j, None]),
    ("as.raw(c(0, 1, 255))", "raw", b"\x00\x01\xff"),
    ("NULL", "raw", b""),
    ("matrix(1:6, 2)", "integer", [1, 2, 3, 4, 5, 6]),
]


def recorded(folder, expression):
    (entry,) = (
        e for e in json.loads((folder / "index.json").read_text())
        if e["r"] == expression and e["mode"] == "raw"
    )  # fmt: skip
    return (folder / entry["file"]).read_bytes()


@pytest.mark.parametrize(("expression", "mode", "value"), RECORDED)
def test_what_r_sends_is_read(r_messages, expression, mode, value):
    decoded = decode_typed(mode, recorded(r_messages, expression))
    assert decoded == value
    assert [type(x) for x in decoded] == [type(x) for x in value]


@pytest.mark.parametrize(("expression", "mode", "value"), RECORDED)
def test_the_same_bytes_are_sent_as_r_sends(r_messages, expression, mode, value):
    assert wire(value) == recorded(r_messages, expression)


def test_doubles_of_r_are_read_and_written_alike(r_messages):
    data = recorded(r_messages, "c(1.5, -0, Inf, -Inf, NaN, NA)")
    decoded = decode_typed("double", data)
    assert decoded[:4] == [1.5, 0.0, math.inf, -math.inf]
    assert math.copysign(1, decoded[1]) == -1
    assert math.isnan(decoded[4])
    assert decoded[5] is None
    assert wire(decoded) == data


def test_a_string_with_na_is_written_as_r_does(r_messages):
    assert wire(["x", None]) == recorded(r_messages, 'c("x", NA)')


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("abc", b"abc\0"),
        (2.0, struct.pack("<d", 2)),
        (2, b"\x02\0\0\0"),
        (True, b"\x01\0\0\0"),
        (1 + 2j, struct.pack("<dd", 1, 2)),
        (None, b""),
        (b"bytes", b"bytes"),
        (array("i", [1]), array("i", [1]).tobytes()),
        ([], b""),
        ([True, 2], struct.pack("<ii", 1, 2)),
        ([1, 2.5], struct.pack("<dd", 1, 2.5)),
        ([1.5, 1j], struct.pack("<dddd", 1.5, 0, 0, 1)),
        ([None], b"\0\0\0\x80"),
        ((1, 2), struct.pack("<ii", 1, 2)),
    ],
)
def test_scalars_and_lists_are_written_by_type(data, expected):
    assert wire(data) == expected


@pytest.mark.parametrize("data", [{"a": 1}, object(), ["a", 1], [b"a"], {1}])
def test_what_is_no_vector_is_refused(data):
    with pytest.raises(TypeError, match="must be an atomic vector type or None to send in mode 'raw'"):
        encode_raw(data)


@pytest.mark.parametrize("data", [2**31, [-(2**31)]])
def test_an_int_beyond_32_bits_is_refused(data):
    with pytest.raises(OverflowError, match="32 bits"):
        encode_raw(data)


def test_a_str_with_a_nul_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        encode_raw("a\0b")


def test_bytes_that_are_no_utf8_survive_a_round_trip():
    data = b"caf\xe9\0"
    assert wire(decode_typed("character", data)) == data


@pytest.mark.parametrize(
    ("mode", "data", "expected"),
    [
        ("character", b"a\0\0", ["a", ""]),
        ("character", b"\0\0", ["", ""]),
        ("character", b"a", ["a"]),
        ("string", b"abc\0", "abc"),
        ("string", b"abc", "abc"),
        ("string", b"", ""),
        ("logical", struct.pack("<3i", 0, 7, -1), [False, True, True]),
        ("numeric", struct.pack("<d", 3), [3.0]),
        ("raw", b"any", b"any"),
        ("double", b"", []),
    ],
)
def test_typed_modes_read(mode, data, expected):
    assert decode_typed(mode, data) == expected


def test_any_nan_with_the_low_word_of_na_is_na():
    assert decode_typed("double", bytes.fromhex("a20700000000f87f")) == [None]


@pytest.mark.parametrize("mode", ["double", "numeric", "integer", "logical", "complex"])
def test_a_byte_count_that_does_not_fit_gives_the_bytes_and_a_warning(mode):
    with pytest.warns(nngsock.NngWarning, match=f"could not be converted to {mode}"):
        assert decode_typed(mode, b"abc") == b"abc"


def test_a_string_with_a_nul_inside_gives_the_bytes_and_a_warning():
    with pytest.warns(nngsock.NngWarning, match="could not be converted to a character string"):
        assert decode_typed("string", b"a\0b\0") == b"a\0b\0"


RECV_NAMES = ("serial", "character", "complex", "double", "integer", "logical", "numeric", "raw", "string")


@pytest.mark.parametrize(("number", "name"), list(enumerate(RECV_NAMES, 1)))
def test_receive_modes_have_the_numbers_of_r(number, name):
    assert receive_mode(number) == receive_mode(name) == name


@pytest.mark.parametrize("mode", ["what", 0, 10, True, None, []])
def test_an_unknown_receive_mode_is_refused(mode):
    with pytest.raises(ValueError, match="`mode` should be one of: "):
        receive_mode(mode)


@pytest.mark.parametrize("mode", ["buffer", 3, 0, True])
def test_an_unknown_send_mode_is_refused(mode):
    with pytest.raises(ValueError, match="`mode` should be one of: "):
        send_mode(mode)


class TestNumpy:
    @pytest.mark.parametrize(
        ("dtype", "values", "mode"),
        [
            ("bool", [True, False], "logical"),
            ("int32", [1, -2], "integer"),
            ("int64", [1, -2], "integer"),
            ("float64", [1.5, -2.0], "double"),
            (">f8", [1.5, -2.0], "double"),
            ("complex128", [1 + 2j], "complex"),
            ("U3", ["a", "bcd"], "character"),
        ],
    )
    def test_arrays_are_written_by_dtype(self, dtype, values, mode):
        numpy = pytest.importorskip("numpy")
        assert decode_typed(mode, wire(numpy.array(values, dtype=dtype))) == values

    def test_bytes_are_written_as_they_are(self):
        numpy = pytest.importorskip("numpy")
        assert wire(numpy.array([1, 255], dtype="uint8")) == b"\x01\xff"

    def test_a_matrix_is_refused(self):
        numpy = pytest.importorskip("numpy")
        with pytest.raises(ValueError, match="flatten first"):
            encode_raw(numpy.zeros((2, 2)))

    def test_an_int_beyond_32_bits_is_refused(self):
        numpy = pytest.importorskip("numpy")
        with pytest.raises(OverflowError, match="32 bits"):
            encode_raw(numpy.array([2**40]))

    def test_another_dtype_is_refused(self):
        numpy = pytest.importorskip("numpy")
        with pytest.raises(TypeError, match="float32"):
            encode_raw(numpy.zeros(2, dtype="float32"))
