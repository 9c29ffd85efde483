import errno
import os

import pytest

from targets_py.errors import TarFileError, TarWarning
from targets_py.storage import log
from targets_py.storage.log import LogWriter, read_table, replace_table

HEADER = "name|value"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table"


def write(path, *lines, **options):
    writer = LogWriter(path, HEADER, **options)
    for line in lines:
        writer.append(line)
    writer.close()


def test_lines_are_rows(path):
    write(path, "a|1", "b|")
    write(path, "c|3")

    assert path.read_bytes() == b"name|value\na|1\nb|\nc|3\n"
    assert read_table(path, HEADER) == [["a", "1"], ["b", ""], ["c", "3"]]


def test_a_missing_file_has_no_rows_and_is_not_made(path):
    assert read_table(path, HEADER) == []
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"na", b"name|value", b"name|value\n", b"name|value\r\n", b"\n"],
    ids=["empty", "half a header", "header without line end", "header", "other line ends", "blank line"],
)
@pytest.mark.filterwarnings("ignore::targets_py.errors.TarWarning")
def test_a_file_cut_off_at_its_start_works(path, content):
    path.write_bytes(content)
    assert read_table(path, HEADER) == []
    write(path, "a|1")

    assert read_table(path, HEADER) == [["a", "1"]]


def test_files_with_other_line_ends_are_read(path):
    path.write_bytes(b"name|value\r\na|1\r\n")
    write(path, "b|2")

    assert read_table(path, HEADER) == [["a", "1"], ["b", "2"]]


def test_killed_at_any_byte_whole_lines_stay_and_the_torn_one_goes(path):
    write(path, "a|1", "bé|2", "c|3")
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        before = read_table(path, HEADER)
        assert before == [["a", "1"], ["bé", "2"], ["c", "3"]][: max(0, content[:length].count(b"\n") - 1)]
        write(path, "d|4")
        assert read_table(path, HEADER) == [*before, ["d", "4"]]


def test_a_long_torn_line_is_cut_off(path):
    write(path, "a|1")
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    write(path, "b|2")

    assert path.read_bytes() == b"name|value\na|1\nb|2\n"


def test_damaged_lines_are_ignored_with_one_warning(path):
    path.write_bytes(b"name|value\na|1\nb\nc|3|3\n\0\0|\0\n|nameless\nd|\xff\ne|5\n")
    with pytest.warns(TarWarning, match="ignored 5 damaged") as caught:
        rows = read_table(path, HEADER)

    assert len(caught) == 1
    assert rows == [["a", "1"], ["e", "5"]]


def test_a_header_in_the_middle_is_no_row(path):
    path.write_bytes(b"name|value\na|1\nname|value\nb|2\n")

    assert read_table(path, HEADER) == [["a", "1"], ["b", "2"]]


def test_a_line_is_there_as_soon_as_it_is_appended(path):
    writer = LogWriter(path, HEADER)
    writer.append("a|1")

    assert read_table(path, HEADER) == [["a", "1"]]
    writer.close()


def test_lines_wait_until_it_is_time_and_then_go_in_one_write(path, monkeypatch):
    now = 100.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    writes = []
    write_to = os.write
    writer = LogWriter(path, HEADER, seconds=10)
    monkeypatch.setattr(log.os, "write", lambda fd, data: writes.append(data) or write_to(fd, data))
    for value in range(3):
        writer.append(f"a|{value}")
    assert writes == []
    now = 110.0
    writer.append("a|3")
    assert writes == [b"a|0\na|1\na|2\na|3\n"]
    writer.append("a|4")
    writer.flush()
    writer.flush()
    assert writes[1:] == [b"a|4\n"]
    writer.append("a|5")
    writer.close()
    writer.close()

    assert writes[2:] == [b"a|5\n"]
    assert [value for _, value in read_table(path, HEADER)] == list("012345")


def test_a_line_may_wait_longer_than_others(path):
    writer = LogWriter(path, HEADER)
    writer.append("a|1")
    writer.append("b|2", seconds=1000)
    assert read_table(path, HEADER) == [["a", "1"]]
    writer.append("c|3")

    assert read_table(path, HEADER) == [["a", "1"], ["b", "2"], ["c", "3"]]
    writer.close()


def test_truncate_starts_anew(path):
    write(path, "a|1")
    write(path, "b|2", truncate=True)

    assert read_table(path, HEADER) == [["b", "2"]]


def test_a_full_disk_leaves_no_torn_line_and_the_lines_wait(path, monkeypatch):
    write_to = os.write
    writer = LogWriter(path, HEADER)
    writer.append("a|1")
    room = 2

    def full(descriptor, data):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write_to(descriptor, data[:room])
        room -= written
        return written

    monkeypatch.setattr(log.os, "write", full)
    with pytest.raises(TarFileError, match="No space left"):
        writer.append("b|2")
    assert path.read_bytes() == b"name|value\na|1\n"
    monkeypatch.setattr(log.os, "write", write_to)
    writer.append("c|3")
    writer.close()

    assert read_table(path, HEADER) == [["a", "1"], ["b", "2"], ["c", "3"]]


def test_a_partial_write_is_completed(path, monkeypatch):
    write_to = os.write
    writer = LogWriter(path, HEADER)
    monkeypatch.setattr(log.os, "write", lambda descriptor, data: write_to(descriptor, data[:3]))
    writer.append("a|" + "1" * 20)
    writer.close()

    assert read_table(path, HEADER) == [["a", "1" * 20]]


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(TarFileError, match=f"cannot open {tmp_path}/no/table"):
        LogWriter(tmp_path / "no" / "table", HEADER)
    with pytest.raises(TarFileError, match=f"cannot read {tmp_path}"):
        read_table(tmp_path, HEADER)
    with pytest.raises(TarFileError, match="cannot rewrite"):
        replace_table(tmp_path / "no" / "table", [HEADER])


def test_replacing_a_table_leaves_the_old_one_if_it_fails(path, monkeypatch):
    write(path, "a|1")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log.os, "fsync", full)
    with pytest.raises(TarFileError, match="No space left"):
        replace_table(path, [HEADER, "b|2"])

    assert read_table(path, HEADER) == [["a", "1"]]
    assert [file.name for file in path.parent.iterdir()] == ["table"]


def test_readers_see_a_replaced_table_whole(path):
    write(path, "a|1")
    with path.open("rb") as old:
        replace_table(path, [HEADER, "b|2"])
        assert old.read() == b"name|value\na|1\n"

    assert read_table(path, HEADER) == [["b", "2"]]
