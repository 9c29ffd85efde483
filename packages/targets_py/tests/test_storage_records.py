import pytest

from targets_py.storage.records import COLUMNS, HEADER, Record, decode, encode, escape, unescape

NASTY = [
    "",
    "plain",
    "a|b*c%d",
    "line\nfeed\rand\0nul",
    "%7C",
    "%",
    "é \u2028 \ufffd 🫨",
    "\udc80\ud800",
    "*",
    "|",
    " ",
]


def through(record):
    line = encode(record)
    assert line.count("|") == 18
    assert not {"\n", "\r", "\0"} & set(line)
    line.encode()
    return decode(line.split("|"))


def test_the_columns_are_those_of_the_file():
    assert len(COLUMNS) == 19
    assert HEADER.startswith(
        "name|type|data|command|depend|seed|path|time|size|bytes|format|repository|iteration|"
    )
    assert HEADER.endswith("|parent|children|seconds|warnings|error|file_hash")


def test_a_full_record_comes_back_as_it_was():
    record = Record(
        name="y_0123456789abcdef",
        type="branch",
        data="0123456789abcdef",
        command="1123456789abcdef",
        depend="2123456789abcdef",
        seed=2**63 - 1,
        path=["a", "b"],
        time=1_767_225_600_123_456_789,
        size=12,
        bytes=34,
        format="pickle",
        repository="local",
        iteration="vector",
        parent="y",
        children=["y_1", "y_2"],
        seconds=1.235,
        warnings="careful",
        error="bad",
        file_hash="3123456789abcdef",
    )

    assert through(record) == record
    assert encode(record) == (
        "y_0123456789abcdef|branch|0123456789abcdef|1123456789abcdef|2123456789abcdef|9223372036854775807|a*b*|"
        "1767225600123456789|s12b|34|pickle|local|vector|y|y_1*y_2|1.235|careful|bad|3123456789abcdef"
    )


def test_a_global_has_empty_fields():
    record = Record("f", "function", "0123456789abcdef")

    assert encode(record) == "f|function|0123456789abcdef" + "|" * 16
    assert through(record) == record


@pytest.mark.parametrize("text", NASTY)
def test_any_text_may_stand_in_a_field(text):
    record = Record("x", "stem", format=text or None, warnings=text or None, error=text or None)

    assert through(record) == record
    assert unescape(escape(text)) == text


@pytest.mark.parametrize("path", [*NASTY[1:], [], ["one"], NASTY[1:], ["a*", "*"]])
def test_a_list_of_paths_stays_a_list_and_a_path_a_path(path):
    assert through(Record("x", "stem", path=path)).path == path


def test_the_characters_that_separate_are_escaped_as_hexadecimal_numbers():
    assert escape("%|*\n\r\0") == "%25%7C%2A%0A%0D%00"


def test_zero_is_not_nothing():
    record = through(Record("x", "stem", seed=0, time=0, size=0, bytes=0, seconds=0.0))

    assert (record.seed, record.time, record.size, record.bytes, record.seconds) == (0, 0, 0, 0, 0.0)


def test_seconds_have_three_digits():
    assert through(Record("x", "stem", seconds=1.23456)).seconds == 1.235


def test_a_number_that_is_none_is_told():
    fields = encode(Record("x", "stem", seed=1)).split("|")
    fields[5] = "1x"

    with pytest.raises(ValueError, match="1x"):
        decode(fields)
