import pytest

from mirai_py import frames
from mirai_py.frames import FrameError, Kind, Result


def joined(parts):
    return memoryview(b"".join(parts))


def test_a_header_tells_kind_flags_and_count():
    assert frames.parse_head(frames.head(Kind.RESULT, 3, 7)) == (Kind.RESULT, 3, 7)


@pytest.mark.parametrize("frame", [b"", b"MPY1", b"MPY2" + bytes(8), bytes(100)])
def test_other_bytes_are_no_frame(frame):
    with pytest.raises(FrameError):
        frames.parse_head(frame)


@pytest.mark.parametrize("bodies", [[[b"a"]], [[b"a", b"b"], [b""]], [[b"x" * 5]] * 300])
@pytest.mark.parametrize("codes", [[], [(b"k" * 16, b"code"), (b"l" * 16, b"")]])
def test_tasks_come_back_as_they_went(bodies, codes):
    entries = [(i, i % 3, body) for i, body in enumerate(bodies)]
    frame = joined(frames.tasks(entries, codes))
    _, _, count = frames.parse_head(frame)
    found_codes, found = frames.parse_tasks(frame, count)
    assert found_codes == codes
    assert [(i, f, bytes(b)) for i, f, b in found] == [(i, f, b"".join(b)) for i, f, b in entries]


@pytest.mark.parametrize("size", [0, 10, 1 << 20])
def test_results_come_back_as_they_went(size):
    done = [Result(1, 0, 0.5, [b"a" * size, b"b"]), Result(2, 1, 0.25, [])]
    frame = joined(frames.results(done, flags=2))
    assert frames.parse_head(frame) == (Kind.RESULT, 2, 2)
    found = frames.parse_results(frame, 2)
    assert [(i, s, t, bytes(b)) for i, s, t, b in found] == [
        (1, 0, 0.5, b"a" * size + b"b"),
        (2, 1, 0.25, b""),
    ]


def test_a_large_body_is_a_part_of_its_own_so_that_it_is_copied_once():
    body = bytes(1 << 20)
    assert any(part is body for part in frames.results([Result(1, 0, 0.0, [body])]))
    assert any(part is body for part in frames.tasks([(1, 0, [body])], []))


@pytest.mark.parametrize("change", [lambda f: f[:-1], lambda f: f + b"x", lambda f: f[:14]])
def test_results_that_are_cut_or_too_long_are_no_frame(change):
    frame = change(joined(frames.results([Result(1, 0, 0.0, [b"abc"])])).tobytes())
    with pytest.raises(FrameError):
        frames.parse_results(memoryview(frame), 1)


def test_ids_needs_and_codes_come_back_as_they_went():
    assert frames.parse_ids(joined(frames.ids(Kind.CANCEL, [1, 2**40])), 2) == (1, 2**40)
    assert frames.parse_need(joined(frames.need([b"k" * 16])), 1) == [b"k" * 16]
    pairs = [(b"k" * 16, b"one"), (b"l" * 16, b"")]
    assert frames.parse_codes(joined(frames.codes(pairs)), 2) == pairs
