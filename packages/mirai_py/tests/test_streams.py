import random
import subprocess
import sys
import threading

import pytest

import mirai_py
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


def draws(_):
    import random
    import sys

    from mirai_py import task_rng, task_seed

    numpy = sys.modules.get("numpy")
    drawn = [random.random(), task_rng().random(), task_rng().random(), task_seed(), task_seed()]
    return drawn if numpy is None else [*drawn, numpy.random.random()]


draws.__module__ = "__main__"


def test_each_seeded_task_has_a_generator_and_a_seed_of_its_own(fresh):
    mirai_py.daemons(2, seed=5, compute=fresh)
    rows = mirai_py.mirai_map(range(4), draws, _compute=fresh).collect()
    for shared, first, second, seed, again in rows:
        assert len({shared, first, second}) == 3  # none repeats another
        assert seed == again
        assert 0 <= seed < 2**63
    assert len({row[3] for row in rows}) == len({row[1] for row in rows}) == 4


@pytest.mark.parametrize(
    "options",
    [{"n": 1}, {"n": 3}, {"n": 2, "dispatcher": False}, {"n": 2, "memory": 0.001}, {"n": 2, "batch": 1}],
    ids=str,
)
def test_the_numbers_depend_on_nothing_but_the_seed(fresh, options):
    drawn = []
    for given in ({"sync": True}, options):
        mirai_py.daemons(**given, seed=7, compute=fresh)
        mirai_py.everywhere("import random; random.random()", _compute=fresh).call()
        mapped = mirai_py.mirai_map(range(5), draws, _compute=fresh)
        single = [mirai_py.mirai(draws, 0, _compute=fresh) for _ in range(3)]
        drawn.append([v[:5] for v in (*mapped.collect(), *mirai_py.collect_mirai(single))])
    assert drawn[0] == drawn[1]


def test_adding_daemons_leaves_the_seeds_alone(fresh):
    drawn = []
    for more in (0, 2):
        mirai_py.daemons(1, seed=7, compute=fresh)
        if more:
            mirai_py.launch_local(more, compute=fresh)
            mirai_py.everywhere("", _min=1 + more, _compute=fresh).call()
        drawn.append(mirai_py.mirai_map(range(5), draws, _compute=fresh).collect())
    assert drawn[0] == drawn[1]


def test_without_a_seed_a_daemon_goes_on_from_task_to_task(fresh):
    mirai_py.daemons(1, compute=fresh)
    values = [v for _ in range(3) for v in mirai_py.mirai(draws, 0, _compute=fresh).collect()]
    values += [v for row in mirai_py.mirai_map(range(3), draws, _compute=fresh).collect() for v in row]
    assert len(set(values)) == len(values)


def test_daemons_without_a_seed_draw_from_streams_of_their_own(fresh):
    mirai_py.daemons(2, compute=fresh)
    rows = mirai_py.everywhere("import random; random.random()", _compute=fresh).collect()
    assert rows[0] != rows[1]
    before = mirai_py.nextstream(fresh)
    assert before.counter == 2
    assert mirai_py.nextstream(fresh).counter == 3


def test_a_stream_that_was_taken_seeds_a_daemon(fresh):
    drawn = []
    for _ in range(2):
        mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
        mirai_py.launch_local(1, rs=(5, 1), compute=fresh)
        drawn.append(mirai_py.mirai(draws, 0, _compute=fresh).collect())
    assert drawn[0] == drawn[1]
    assert mirai_py.nextstream("nothing of this name") is None


def test_numpys_generator_is_seeded_for_each_task(fresh):
    pytest.importorskip("numpy")

    def draw(_):
        import numpy as np

        return float(np.random.random())  # noqa: NPY002 - it is that one which is seeded

    draw.__module__ = "__main__"
    drawn = []
    for n in (1, 2):
        mirai_py.daemons(n, seed=3, compute=fresh)
        drawn.append(mirai_py.mirai_map(range(6), draw, _compute=fresh).collect())
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 6


def test_outside_of_tasks_they_draw_from_the_processs_own():
    seeds = {mirai_py.task_seed() for _ in range(3)}
    assert len(seeds) == 3
    assert mirai_py.task_rng() is mirai_py.task_rng()
