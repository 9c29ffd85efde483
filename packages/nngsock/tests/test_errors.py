import copy
import pickle

import pytest

import nngsock
from nngsock import UNRESOLVED, ErrorValue
from nngsock.errors import exception_for


def test_an_error_value_is_its_number():
    value = ErrorValue(5, {"why": "late"})
    assert value == 5
    assert hash(value) == hash(5)
    assert int(value) == 5
    assert type(value + 1) is int


def test_an_error_value_says_what_it_means():
    assert repr(ErrorValue(5)) == "errorValue 5 | Timed out"
    assert str(ErrorValue(5)) == f"{ErrorValue(5)}" == repr(ErrorValue(5))


def test_only_an_error_value_is_one():
    assert nngsock.is_error_value(ErrorValue(5))
    assert not nngsock.is_error_value(5)


def test_an_error_value_survives_pickling_with_its_detail():
    loaded = pickle.loads(pickle.dumps(ErrorValue(19, {"pid": 4})))
    assert loaded == 19
    assert nngsock.is_error_value(loaded)
    assert loaded.detail == {"pid": 4}


def test_unresolved_is_one_object_and_no_truth_value():
    assert pickle.loads(pickle.dumps(UNRESOLVED)) is UNRESOLVED
    assert copy.deepcopy(UNRESOLVED) is UNRESOLVED
    assert repr(UNRESOLVED) == "unresolved"
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(UNRESOLVED)


@pytest.mark.parametrize(
    ("code", "builtin"),
    [(5, TimeoutError), (6, ConnectionRefusedError), (16, PermissionError), (19, ConnectionResetError)],
)
def test_an_exception_is_also_the_builtin_one(code, builtin):
    error = exception_for(code, "tcp://there")
    assert isinstance(error, nngsock.NngError)
    assert isinstance(error, nngsock.NngsockError)
    assert isinstance(error, builtin)
    assert str(error) == f"{nngsock.nng_error(code)}: tcp://there"


def test_an_exception_survives_pickling():
    loaded = pickle.loads(pickle.dumps(exception_for(6, "x")))
    assert (type(loaded), loaded.code, str(loaded)) == (
        nngsock.NngRefusedError, 6, "6 | Connection refused: x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "0 | Hunky dory"),
        (1, "1 | Interrupted"),
        (7, "7 | Object closed"),
        (8, "8 | Try again"),
        (20, "20 | Operation canceled"),
        (31, "31 | Connection shutdown"),
        (0x10000002, "268435458 | No such file or directory"),
        (0x20000003, "536870915 | Transport error #3"),
        (12345, "12345 | Unknown error #12345"),
    ],
)
def test_numbers_have_the_texts_of_nng(code, text):
    assert nngsock.nng_error(code) == text


@pytest.mark.parametrize("data", [b"\0", bytearray(b"\0"), memoryview(b"\0")])
def test_a_nul_byte_is_recognised(data):
    assert nngsock.is_nul_byte(data)


@pytest.mark.parametrize("data", [b"", b"\0\0", "\0", 0, None])
def test_what_is_no_nul_byte_is_not(data):
    assert not nngsock.is_nul_byte(data)
