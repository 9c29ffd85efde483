import random
import subprocess
import sys
import threading

import pytest

from mirai_py.streams import Stream, Streams, kept_generators, seed_generators


def test_streams_count_on_from_their_entropy():
    streams = Streams(7)
    assert streams.peek() == Stream(7, 0)
    assert [streams.take(), streams.take()] == [Stream(7, 0), Stream(7, 1)]
    assert streams.fixed
    assert not Streams(None).fixed
    assert Streams(None).peek() != Streams(None).peek()


def test_no_stream_is_handed_out_twice():
    streams, taken = Streams(1), []
    threads = [
        threading.Thread(target=lambda: taken.extend(streams.take() for _ in range(500))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 2000


def test_the_seed_is_that_of_the_stream_whatever_the_process():
    source = "from mirai_py.streams import Stream; print(Stream(1, 2).seed())"
    found = {subprocess.check_output([sys.executable, "-c", source], text=True).strip() for _ in range(2)}
    assert found == {str(Stream(1, 2).seed())}
    assert Stream(1, 2).seed() != Stream(1, 3).seed() != Stream(2, 2).seed()


def test_the_generators_are_seeded_and_can_be_kept():
    before = random.getstate()
    with kept_generators():
        seed_generators(Stream(1, 1))
        first = random.random()
        seed_generators(Stream(1, 1))
        assert random.random() == first
    assert random.getstate() == before


def test_numpy_is_seeded_also_when_it_is_imported_later():
    pytest.importorskip("numpy")
    later = (
        "import sys; from mirai_py.streams import *; seed_generators(Stream(3, 0));"
        "assert 'numpy' not in sys.modules; import numpy; print(numpy.random.rand())"
    )
    before = (
        "import numpy; from mirai_py.streams import *; seed_generators(Stream(3, 0));"
        "print(numpy.random.rand())"
    )
    found = {subprocess.check_output([sys.executable, "-c", s], text=True) for s in (later, before, later)}
    assert len(found) == 1


def test_streams_are_given_back_unless_others_were_taken_since():
    streams = Streams(1)
    first = streams.peek()
    streams.skip(3)
    streams.give_back(first, 3)
    assert streams.peek() == first
    streams.skip(3)
    streams.take()
    streams.give_back(first, 3)
    assert streams.peek().counter == first.counter + 4
