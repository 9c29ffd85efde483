import concurrent.futures
import pickle
import traceback

import pytest

import mirai_py
from mirai_py import ErrorValue, MiraiError, MiraiInterrupt, errors


def described(error):
    return errors.rebuild(errors.describe(error, []))


def test_all_exceptions_have_one_base_and_the_builtin_one_beside():
    pairs = {
        mirai_py.DaemonsNotSetError: RuntimeError,
        mirai_py.MiraiSerializationError: TypeError,
        mirai_py.MiraiLaunchError: RuntimeError,
        mirai_py.MiraiTypeError: TypeError,
        mirai_py.MiraiValueError: ValueError,
        mirai_py.MiraiTimeoutError: TimeoutError,
        mirai_py.MiraiConnectionError: ConnectionResetError,
        mirai_py.MiraiInterruptedError: Exception,
        mirai_py.MiraiMapError: Exception,
        mirai_py.MiraiError: Exception,
    }
    for ours, builtin in pairs.items():
        assert issubclass(ours, mirai_py.MiraiException)
        assert issubclass(ours, builtin)


def test_which_values_mean_failure():
    error = described(ValueError("x"))
    for value in (error, MiraiInterrupt(), ErrorValue(19)):
        assert mirai_py.is_error_value(value)
    assert mirai_py.is_mirai_error(error)
    assert mirai_py.is_mirai_interrupt(MiraiInterrupt())
    for value in (None, 5, ValueError("x"), mirai_py.UNRESOLVED):
        assert not mirai_py.is_error_value(value)


def test_an_error_reads_as_its_original():
    error = described(FileNotFoundError(2, "gone", "f"))
    assert str(error) == "FileNotFoundError: [Errno 2] gone: 'f'"
    assert repr(error) == "miraiError FileNotFoundError: [Errno 2] gone: 'f'"
    assert (error.errno, error.filename) == (2, "f")
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = error.other
    assert str(described(ValueError())) == "ValueError"


def test_one_part_that_cannot_be_packed_costs_only_itself():
    class Odd(Exception):  # noqa: N818
        def __init__(self, a, b):
            super().__init__(a)
            self.good, self.bad = b, (i for i in ())

        def __str__(self):
            raise RuntimeError

    error = described(Odd(1, 2))
    assert error.condition_class[0] == "Odd"
    assert error.good == 2
    assert error.exception is None
    assert "whose text cannot be made" in error.message


def test_an_error_can_be_pickled_with_its_trace():
    error = pickle.loads(pickle.dumps(described(KeyError("k"))))
    assert str(error) == "KeyError: 'k'"
    assert error.condition_class == ("KeyError", "LookupError", "Exception", "BaseException")


@pytest.mark.parametrize(
    ("value", "raises", "told"),
    [
        (ErrorValue(5, {"timeout": 20}), mirai_py.MiraiTimeoutError, "after 20 ms"),
        (ErrorValue(19, {"pid": 7, "exit_code": 3}), mirai_py.MiraiConnectionError, "pid 7, exit code 3"),
        (
            ErrorValue(19, {"task": 5, "call": "f", "pid": 7, "host": "h", "ms": 9, "signal": "SIGKILL"}),
            mirai_py.MiraiConnectionError,
            r"\(task 5 of f, daemon pid 7 on h, signal SIGKILL, 9 ms after its start\)",
        ),
        (ErrorValue(20), concurrent.futures.CancelledError, "^$"),
        (MiraiInterrupt(), mirai_py.MiraiInterruptedError, "interrupted at its daemon"),
        (MiraiError("boom"), MiraiError, "boom"),
        (described(KeyError("k")), KeyError, "k"),
        (described(SystemExit(3)), MiraiError, "SystemExit: 3"),
    ],
)
def test_values_raise_what_they_stand_for(value, raises, told):
    with pytest.raises(raises, match=told):
        errors.raised(value)


def test_values_that_are_no_failure_pass():
    assert errors.raised(5) == 5
    assert errors.raised(None) is None


def test_interrupts_are_equal():
    assert MiraiInterrupt() == MiraiInterrupt()
    assert hash(MiraiInterrupt()) == hash(MiraiInterrupt())
    assert repr(MiraiInterrupt()) == "MiraiInterrupt"


def test_where_it_is_raised_the_remote_traceback_is_printed(one):
    def inner(x):
        return x / 0

    def outer(x):
        return inner(x)

    m = mirai_py.mirai(outer, 1, _compute=one)
    with pytest.raises(ZeroDivisionError) as e:
        m.result()
    printed = "".join(traceback.format_exception(e.value))
    assert "in outer\n" in printed
    assert "in inner\n    return x / 0\n" in printed
    assert printed.index("at the daemon") < printed.index("direct cause")
    with pytest.raises(mirai_py.MiraiMapError) as e:
        mirai_py.mirai_map([1], outer, _compute=one).collect(stop=True)
    assert "in inner\n" in "".join(traceback.format_exception(e.value))


def test_notes_can_be_added_to_an_error():
    error = MiraiError("m", ("E",))
    error.add_note("mine")
    assert "".join(traceback.format_exception(error)).endswith("E: m\nmine\n")


def test_a_syntax_error_shows_its_line(one):
    error = mirai_py.mirai("x = 1\ny = (x +\n", _compute=one).collect()
    assert error.condition_class[0] == "SyntaxError"
    assert "line 2\n    y = (x +" in error.traceback
    assert "ast.py" not in error.traceback
