import random

import pytest

import crew_py


def draw(**settings):
    return crew_py.crew_eval("import random; random.random()", "task", **settings)


def test_the_same_seed_gives_the_same_draws_and_another_one_others():
    assert draw(seed=1)["result"] == draw(seed=1)["result"]
    assert draw(seed=1)["result"] != draw(seed=2)["result"]
    assert draw(seed=-5)["result"] != draw(seed=5)["result"]


def test_a_seed_is_that_of_the_random_module():
    random.seed(5)
    expected = random.random()
    assert draw(seed=5)["result"] == expected


def test_a_seeded_task_leaves_the_stream_as_it_was():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    draw(seed=9)
    assert random.random() == expected


def test_without_seed_the_stream_advances():
    random.seed(1)
    first = draw()["result"]
    assert draw()["result"] != first
    assert draw()["seed"] is None


def test_an_unknown_algorithm_is_an_error_row():
    monad = draw(seed=1, algorithm="dice")
    assert monad["status"] == "error"
    assert "dice" in monad["error"]
    assert monad["algorithm"] == "dice"


def test_numpys_legacy_generator_is_seeded_and_restored():
    np = pytest.importorskip("numpy")
    np.random.seed(0)
    before = np.random.get_state()[1].copy()

    def f():
        return np.random.random()

    one, same, other = (crew_py.crew_eval(f, "task", seed=seed)["result"] for seed in (-3, -3, 3))
    assert one == same != other
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("algorithm", ["MT19937", "PCG64", "Philox", "SFC64"])
def test_the_algorithm_is_that_of_crew_rng(algorithm):
    np = pytest.importorskip("numpy")

    def f():
        rng = crew_py.crew_rng()
        return type(rng.bit_generator).__name__, rng.random()

    results = [crew_py.crew_eval(f, "task", seed=3, algorithm=algorithm)["result"] for _ in range(2)]
    assert results[0] == results[1]
    expected = np.random.Generator(getattr(np.random, algorithm)(3)).random()
    assert results[0] == (algorithm, expected)


def test_crew_rng_outside_a_seeded_task_is_fresh():
    pytest.importorskip("numpy")
    assert crew_py.crew_rng().random() != crew_py.crew_rng().random()
