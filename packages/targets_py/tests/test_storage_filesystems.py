import os

import pytest

from targets_py.storage import filesystems
from targets_py.storage.filesystems import parse_mount_command, parse_mounts, trusts_timestamps


@pytest.fixture
def mounts(monkeypatch, tmp_path):
    table = {"/": "ext4"}
    monkeypatch.setattr(filesystems, "mounted", lambda: table)
    filesystems._of_folder.cache_clear()
    yield table
    filesystems._of_folder.cache_clear()


def test_the_file_system_of_the_nearest_mount_point_counts(mounts, tmp_path):
    (tmp_path / "usb" / "deep").mkdir(parents=True)
    mounts[os.path.realpath(tmp_path / "usb")] = "vfat"

    assert trusts_timestamps(str(tmp_path / "file"))
    assert not trusts_timestamps(str(tmp_path / "usb" / "deep" / "file"))


def test_a_link_leads_to_the_file_system_of_the_file(mounts, tmp_path):
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "usb" / "file")
    mounts[os.path.realpath(tmp_path / "usb")] = "exfat"

    assert not trusts_timestamps(str(tmp_path / "link"))


def test_what_is_not_known_is_not_trusted(mounts, tmp_path):
    mounts.clear()

    assert not trusts_timestamps(str(tmp_path / "file"))


def test_the_table_of_linux():
    table = "/dev/a / ext4 rw 0 0\n/dev/b /mnt/my\\040disk EXFAT rw 0 0\noverlay / overlay rw 0 0\n"

    assert parse_mounts(table) == {"/": "overlay", "/mnt/my disk": "exfat"}


def test_the_command_of_macos():
    shown = "/dev/disk3s1 on / (apfs, sealed, local)\n/dev/disk4 on /Volumes/My Disk (msdos, local)\n"

    assert parse_mount_command(shown) == {"/": "apfs", "/Volumes/My Disk": "msdos"}


def test_this_machine_tells():
    assert "/" in filesystems.mounted()
