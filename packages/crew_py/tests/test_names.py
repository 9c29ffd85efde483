import random

import crew_py


def test_a_name_has_two_digits_per_byte():
    name = crew_py.crew_random_name(n=6)
    assert len(name) == 12
    assert int(name, 16) >= 0


def test_seeding_random_does_not_repeat_names():
    random.seed(0)
    first = crew_py.crew_random_name()
    random.seed(0)
    assert crew_py.crew_random_name() != first
