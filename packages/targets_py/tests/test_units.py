import pytest

from targets_py.units import pretty_bytes, pretty_sec


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0114, "12ms"),
        (0.012, "12ms"),
        (0.9999, "1000ms"),
        (1.2, "1.2s"),
        (1.0, "1s"),
        (59.96, "60s"),
        (60, "1m"),
        (61.5, "1m 1.5s"),
        (3725.4, "1h 2m 5.4s"),
        (86400 + 3600 + 61, "1d 1h 1m 1s"),
        (7200, "2h"),
    ],
)
def test_durations(seconds, text):
    assert pretty_sec(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (4371, "4.37 kB"),
        (4_300, "4.3 kB"),
        (999_940, "999.94 kB"),
        (999_950, "1 MB"),
        (1_234_567, "1.23 MB"),
        (10**12, "1 TB"),
    ],
)
def test_sizes(size, text):
    assert pretty_bytes(size) == text
