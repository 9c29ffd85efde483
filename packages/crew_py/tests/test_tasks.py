import pytest

from crew_py.errors import CrewValueError
from crew_py.tasks import TaskTable


class Handle:
    data = None

    def __init__(self):
        self.looks = 0
        self.is_done = False

    def done(self):
        self.looks += 1
        return self.is_done


@pytest.fixture
def table():
    table = TaskTable()
    for name in "abcd":
        table.add(name, Handle(), "1", (), None, None)
    return table


def finish(table, names):
    for name in names:
        table.handles[name].is_done = True


def test_a_name_is_taken_until_its_task_is(table):
    with pytest.raises(CrewValueError, match=r"'a'.*pop\(\) or collect\(\)"):
        table.check_free("a")
    finish(table, "a")
    assert table.take(table.oldest()).name == "a"
    table.check_free("a")
    assert len(table) == 3


def test_the_oldest_resolved_task_comes_first(table):
    assert table.oldest() is None
    finish(table, "db")
    assert table.oldest() == "b"


def test_the_queue_is_emptied_before_the_tasks_are_looked_at_again(table):
    finish(table, "c")
    assert table.oldest() == "c"
    finish(table, "a")
    looks = table.handles["a"].looks
    assert table.oldest() == "c"
    assert table.handles["a"].looks == looks


def test_in_order_is_the_order_of_pushing_whatever_was_found_first(table):
    finish(table, "c")
    table.look()
    finish(table, "ad")
    assert table.in_order() == ["a", "c", "d"]


def test_any_resolved_does_not_touch_the_queue(table):
    finish(table, "c")
    assert table.any_resolved()
    assert table.resolved == ()
    finish(table, "a")
    assert table.oldest() == "a"


def test_all_resolved_looks_no_further_than_to_the_first_that_is_not(table):
    finish(table, "acd")
    assert not table.all_resolved()
    assert table.handles["c"].looks == 0
    finish(table, "b")
    assert table.all_resolved()
    assert table.handles["a"].looks == 1


def test_resolved_tasks_are_counted_without_queueing_them(table):
    finish(table, "ab")
    assert table.count_resolved() == 2
    table.look()
    assert table.count_resolved() == 2
