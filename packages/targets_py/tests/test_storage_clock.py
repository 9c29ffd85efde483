"""Files are recorded at a moment from which on every change shows in their time."""

from __future__ import annotations

import os
import time

from targets_py.storage import clock


class TestSettledStat:
    def test_no_file_written_afterwards_can_have_the_same_time(self, tmp_path):
        path = tmp_path / "a"
        for content in "0123456789":
            path.write_text(content)
            status = clock.settled_stat([str(path)])
            assert status.size == 1
            assert clock.file_clock() > status.time

    def test_it_waits_for_the_next_tick_only_for_a_file_of_this_one(self, tmp_path, monkeypatch):
        path = tmp_path / "a"
        path.write_text("1")
        now = [path.stat().st_mtime_ns]
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            now[0] += clock.tick()

        monkeypatch.setattr(clock, "tick", lambda: 4_000_000)
        monkeypatch.setattr(clock, "file_clock", lambda: now[0])
        monkeypatch.setattr(clock.time, "sleep", sleep)
        clock.settled_stat([str(path)])
        clock.settled_stat([str(path)])

        assert len(waits) == 1
        assert 0 <= waits[0] <= 0.004

    def test_a_time_in_the_future_is_not_waited_for(self, tmp_path):
        path = tmp_path / "a"
        path.write_text("1")
        ahead = time.time_ns() + 3600 * 10**9
        os.utime(path, ns=(ahead, ahead))

        assert clock.settled_stat([str(path)]).time == ahead

    def test_a_file_that_is_written_all_the_while_is_seen_as_it_last_was(self, tmp_path, monkeypatch):
        path = tmp_path / "a"
        path.write_text("1")
        real = clock.time.sleep

        def sleep(seconds):
            monkeypatch.setattr(clock.time, "sleep", real)
            path.write_text("22")

        monkeypatch.setattr(clock.time, "sleep", sleep)
        monkeypatch.setattr(clock, "file_clock", iter([path.stat().st_mtime_ns, 0, 2**63, 2**63]).__next__)

        assert clock.settled_stat([str(path)]).size == 2
