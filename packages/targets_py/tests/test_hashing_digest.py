import os
from pathlib import Path

import pytest

from targets_py.hashing.digest import digest, hash_file, hash_paths, stat_paths


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_digest_is_16_hexadecimal_digits():
    assert len(digest(b"a")) == 16
    int(digest(b"a"), 16)


def test_parts_do_not_run_into_each_other():
    assert len({digest(b"ab"), digest(b"a", b"b"), digest(b"", b"ab"), digest(b"ab", b"")}) == 4


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 5000)

    assert hash_file(path) == digest(path.read_bytes())


def test_contents_count_in_order_but_names_of_files_do_not(tmp_path):
    a, b = write(tmp_path / "a", "1"), write(tmp_path / "b", "2")
    moved = write(tmp_path / "other" / "c", "1")

    assert hash_paths([a, b]) != hash_paths([b, a])
    assert hash_paths([a, b]) == hash_paths([moved, b])
    assert hash_paths([a]) != hash_paths([a, a])


def test_no_files_have_a_hash_too():
    assert hash_paths([]) == hash_paths([])
    assert (stat_paths([]).time, stat_paths([]).size) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder / "sub" / "deep.txt", "changed"),
        lambda folder: (folder / "sub" / "deep.txt").rename(folder / "sub" / "deeper.txt"),  # keeps the order
        lambda folder: write(folder / "new.txt", ""),
        lambda folder: (folder / "empty").rmdir(),
    ],
    ids=["content", "rename", "new file", "empty folder gone"],
)
def test_folders_count_with_all_that_is_in_them(tmp_path, change):
    folder = tmp_path / "folder"
    write(folder / "a.txt", "1")
    write(folder / "sub" / "deep.txt", "2")
    (folder / "empty").mkdir()
    before = hash_paths([str(folder)])

    assert hash_paths([str(folder)]) == before
    change(folder)
    assert hash_paths([str(folder)]) != before


def test_a_folder_counts_equally_wherever_it_lies(tmp_path):
    write(tmp_path / "here" / "a", "1")
    write(tmp_path / "there" / "a", "1")

    assert hash_paths([str(tmp_path / "here")]) == hash_paths([str(tmp_path / "there")])


def test_a_folder_may_hold_itself_and_a_pipe_is_not_read(tmp_path):
    write(tmp_path / "folder" / "a", "1")
    (tmp_path / "folder" / "self").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "folder" / "pipe")

    assert hash_paths([str(tmp_path / "folder")]) == hash_paths([str(tmp_path / "folder")])


def test_sizes_add_up_and_the_newest_time_counts(tmp_path):
    a, b = write(tmp_path / "a", "123"), write(tmp_path / "folder" / "b", "45")
    os.utime(a, ns=(5, 2_000_000_000_123_456_789))

    status = stat_paths([a, str(tmp_path / "folder")])

    assert status.size == 5
    assert status.time == 2_000_000_000_123_456_789
    assert stat_paths([b]).time == Path(b).stat().st_mtime_ns


def test_a_missing_path_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        hash_paths([str(tmp_path / "nowhere")])
    with pytest.raises(FileNotFoundError):
        stat_paths([str(tmp_path / "nowhere")])
