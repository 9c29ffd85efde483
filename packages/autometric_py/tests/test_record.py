import re
from pathlib import Path

import pytest

from autometric_py.record import (
    CELL_BYTES,
    Sample,
    clean_label,
    cut_label,
    failed,
    label_reader,
    pack_label,
    record_line,
    unpack_label,
)

R_LOG = Path(__file__).with_name("data") / "autometric_r.log"


def test_a_line_is_written_as_the_original_writes_it():
    line = R_LOG.read_text().splitlines()[0]
    _, version, pid, name, status, time, core, cpu, resident, virtual, phase, _ = line.split("|")
    sample = Sample(int(status), float(time), float(core), float(cpu), int(resident), int(virtual), {})
    assert record_line(version, int(pid), name, phase, sample) == line + "\n"


def test_times_and_cpu_have_three_decimals_and_memory_none():
    sample = Sample(0, 1.0, 99.98765, 49.99, 1000, 2000, {})
    assert record_line("1.2", 7, "", "p", sample) == (
        "__AUTOMETRIC__|1.2|7||0|1.000|99.988|49.990|1000|2000|p|__AUTOMETRIC__\n"
    )


def test_extra_columns_follow_the_phase_under_their_names():
    sample = Sample(0, 1.0, 0.0, 0.0, 1, 2, {"threads": 3, "gpu": 12.5, "read": None})
    assert record_line("1", 7, "n", "p", sample).endswith("|p|threads=3|gpu=12.500|read=|__AUTOMETRIC__\n")


def test_a_failed_sample_has_its_time_and_zeros():
    sample = failed(10002, 12.5, ["threads"])
    assert record_line("1", 7, "n", "p", sample) == (
        "__AUTOMETRIC__|1|7|n|10002|12.500|0.000|0.000|0|0|p|threads=0|__AUTOMETRIC__\n"
    )


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("", ""),
        ("a" * 255, "a" * 255),
        ("a" * 300, "a" * 255),
        ("é" * 200, "é" * 127),
        ("😀" * 64, "😀" * 63),
    ],
)
def test_a_label_is_cut_at_a_character_boundary(label, kept):
    assert cut_label(label) == kept
    assert unpack_label(pack_label(label)) == kept


def test_a_new_cell_has_no_label():
    assert unpack_label(bytes(CELL_BYTES)) is None


def test_a_reader_never_sees_a_torn_label():
    cell = bytearray(CELL_BYTES)
    old, new = pack_label("old" * 20), pack_label("new" * 30)
    read = label_reader(cell)
    cell[: len(old)] = old
    assert read() == "old" * 20
    for end in range(1, len(new)):  # the copy of the new label stops after each byte
        cell[:end] = new[:end]
        assert read() in {"old" * 20, "new" * 30}
    cell[: len(new)] = new
    assert read() == "new" * 30


def test_a_clean_label_can_stand_in_a_field():
    cleaned = clean_label("a|b\nc\rd__AUTOMETRIC__")
    assert not re.search(r"[|\r\n]|__AUTOMETRIC__", cleaned)
