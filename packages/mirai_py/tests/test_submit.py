import threading

import pytest

import mirai_py
from mirai_py import mirai, mirai_map, once


def test_a_call_is_evaluated_in_another_process(two):
    import os

    m = mirai(lambda: __import__("os").getpid(), _compute=two)
    assert m.collect() != os.getpid()


def test_positional_and_keyword_arguments_and_args_are_passed(two):
    def f(*args, **kwargs):
        return args, kwargs

    m = mirai(f, 1, 2, a=3, b=4, _args={"b": 5, "c": 6}, _compute=two)
    assert m.collect() == ((1, 2), {"a": 3, "b": 5, "c": 6})


def test_importable_functions_builtins_classes_and_methods_can_be_called(two):
    import fractions

    assert mirai(pow, 2, 5, _compute=two).collect() == 32
    assert mirai(fractions.Fraction, 1, 2, _compute=two).collect() == fractions.Fraction(1, 2)
    assert mirai("-".join, ["a", "b"], _compute=two).collect() == "a-b"


def test_source_text_gives_its_last_expression(two):
    assert mirai("x + y", x=1, y=2, _compute=two).collect() == 3
    assert mirai("z = x\nz * 2", x=4, _compute=two).collect() == 8
    assert mirai("z = 1", _compute=two).collect() is None
    assert mirai("", _compute=two).collect() is None


def test_comprehensions_and_nested_functions_of_source_text_see_its_names(two):
    source = "def g(y): return x + y\n[g(i) + x for i in range(n)]"
    assert mirai(source, x=10, n=3, _compute=two).collect() == [20, 21, 22]


def test_args_shadow_keywords_which_shadow_the_daemons_names(fresh):
    mirai_py.daemons(1, compute=fresh)
    mirai_py.everywhere("a = b = c = 'daemon'", _compute=fresh).call()
    m = mirai("a + b + c", b="kwarg", c="kwarg", _args={"c": "args"}, _compute=fresh)
    assert m.collect() == "daemonkwargargs"


def test_globals_are_visible_to_the_task_and_the_functions_it_carries_in_this_task_only(one):
    namespace = {}
    exec("def f(): return g_\ndef call(h): return h() + g_", namespace)  # names that no module has
    for function in (namespace["f"], namespace["call"]):
        function.__module__ = "__main__"
    f, call = namespace["f"], namespace["call"]
    assert mirai(f, _globals={"g_": 5}, _compute=one).collect() == 5
    assert mirai(call, f, _globals={"g_": 5}, _compute=one).collect() == 10
    assert mirai("g_ + 1", _globals={"g_": 5}, _compute=one).collect() == 6
    assert mirai_py.is_mirai_error(mirai("g_", _compute=one).collect())


def test_arguments_are_never_copied_back(two):
    value = [1]
    assert mirai(lambda v: v.append(2) or v, value, _compute=two).collect() == [1, 2]
    assert value == [1]


def test_ids_increase_over_profiles(one, two):
    ids = [mirai(abs, 1, _compute=c).id for c in (one, two, one)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("call", [mirai, mirai_py.try_mirai, mirai_py.everywhere])
def test_a_missing_expression_is_a_type_error(call, two):
    with pytest.raises(TypeError, match="missing expression"):
        call(None, _compute=two)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "told"),
    [
        ((5,), {}, TypeError, "a function or source text is evaluated, not int"),
        (("x", 1), {}, TypeError, "takes no positional arguments"),
        ((abs, 1), {"_args": [1]}, TypeError, "`_args` must be a mapping"),
        ((abs, 1), {"_args": {1: 1}}, ValueError, "keys of `_args` must be str, and 1"),
        ((abs, 1), {"_globals": 1}, TypeError, "`_globals` must be a mapping"),
        ((abs, 1), {"_globals": {None: 1}}, ValueError, "keys of `_globals`"),
        ((abs, 1), {"_timeout": "2"}, TypeError, "`_timeout` must be a number of milliseconds"),
        ((abs, 1), {"_timeout": True}, TypeError, "`_timeout`"),
        ((abs, 1), {"_timeout": -1}, ValueError, "`_timeout`.*zero or greater, not -1"),
        ((abs, 1), {"_timeout": float("nan")}, ValueError, "`_timeout`"),
        ((abs, 1), {"_compute": 5}, TypeError, "`compute` must be the name"),
    ],
)
def test_bad_arguments_are_named(two, arguments, options, error, told):
    with pytest.raises(error, match=told):
        mirai(*arguments, **{"_compute": two, **options})


def test_an_argument_that_cannot_be_sent_is_named_and_nothing_is_sent(two):
    before = mirai_py.info(two)
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"argument 'key' of type _thread\.lock") as e:
        mirai(lambda x, key: None, 1, key=threading.Lock(), _compute=two)
    assert isinstance(e.value, TypeError)
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"argument 1 of type builtins\.generator"):
        mirai(max, 1, (i for i in ()), _compute=two)
    with pytest.raises(mirai_py.MiraiSerializationError, match=r"_globals\['lock'\]"):
        mirai("1", _globals={"lock": threading.Lock()}, _compute=two)
    assert mirai_py.info(two) == before


def test_a_function_that_cannot_be_sent_is_named(two):
    lock = threading.Lock()

    def holds_a_lock():
        return lock

    with pytest.raises(mirai_py.MiraiSerializationError, match=r"the function .*holds_a_lock"):
        mirai(holds_a_lock, _compute=two)


def test_a_failed_submission_does_not_advance_the_random_streams(fresh):
    mirai_py.daemons(1, seed=5, compute=fresh)
    stream = mirai_py.nextget("stream", compute=fresh)
    with pytest.raises(mirai_py.MiraiSerializationError):
        mirai(max, threading.Lock(), _compute=fresh)
    mirai_py.everywhere("", _compute=fresh).call()
    assert mirai_py.nextget("stream", compute=fresh) == stream
    mirai(abs, 1, _compute=fresh).call()
    assert mirai_py.nextget("stream", compute=fresh) != stream


def test_a_mirai_that_nobody_holds_still_runs(one):
    before = mirai_py.info(one)["completed"]
    mirai(abs, 1, _compute=one)
    mirai(abs, 1, _compute=one).call()
    assert mirai_py.info(one)["completed"] == before + 2


def test_many_threads_submit_and_wait_at_once(two):
    found = {}

    def work(k):
        mirais = [mirai(lambda a, b: a * b, k, i, _compute=two) for i in range(50)]
        found[k] = [m.collect() for m in mirais]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [k * i for i in range(50)] for k in range(8)}


def test_twenty_thousand_quick_tasks_on_four_daemons_all_resolve_and_are_counted(fresh):
    mirai_py.daemons(4, compute=fresh)
    mirais = []
    for i in range(20_000):
        mirais.append(mirai(abs, -i, _compute=fresh))
        counts = mirai_py.info(fresh)
        assert counts["awaiting"] + counts["executing"] + counts["completed"] == i + 1
    assert [m.collect() for m in mirais] == list(range(20_000))
    assert list(mirai_py.info(fresh).values()) == [4, 4, 0, 0, 20_000]


def test_everywhere_runs_on_each_daemon_and_its_names_last(fresh):
    mirai_py.daemons(2, compute=fresh)
    found = mirai_py.everywhere("import os\npid = os.getpid()\npid", _compute=fresh)
    assert len(found) == 2
    pids = found.collect()
    assert len(set(pids)) == 2
    assert set(mirai_map(range(20), lambda _: pid, _compute=fresh).collect()) <= set(pids)  # noqa: F821
    assert mirai("pid", _compute=fresh).collect() in pids


def test_everywhere_exports_names(fresh):
    mirai_py.daemons(1, compute=fresh)
    mirai_py.everywhere("", a=1, _args={"b": 2}, _compute=fresh).call()
    assert mirai("a + b", _compute=fresh).collect() == 3
    mirai_py.everywhere(lambda: None, _globals={"c": 3}, _compute=fresh).call()
    assert mirai("a + b + c", _compute=fresh).collect() == 6
    assert mirai(lambda: c, _compute=fresh).collect() == 3  # noqa: F821


def test_a_function_of_everywhere_keeps_what_it_assigns_by_global(fresh):
    mirai_py.daemons(1, compute=fresh)
    namespace = {"__name__": "__main__"}
    exec("def setup():\n    global table\n    table = {1: 'one'}\n    local = 2", namespace)
    mirai_py.everywhere(namespace["setup"], _compute=fresh).call()
    assert mirai("table[1]", _compute=fresh).collect() == "one"
    assert mirai_py.is_mirai_error(mirai("local", _compute=fresh).collect())


def test_what_everywhere_sends_may_be_large(fresh):
    mirai_py.daemons(2, compute=fresh)
    large = [bytes([i]) * 2_000_000 for i in range(10)]
    mirai_py.everywhere("", table=large, _compute=fresh).call()
    found = mirai_py.mirai_map(range(10), lambda i: table[i] * (i > 4), _compute=fresh)  # noqa: F821
    assert found.collect() == [part * (i > 4) for i, part in enumerate(large)]


def test_everywhere_gives_errors_per_daemon(two):
    found = mirai_py.everywhere("1 / 0", _compute=two).collect()
    assert [e.condition_class[0] for e in found] == ["ZeroDivisionError"] * 2


@pytest.mark.parametrize("least", [0, -1, 1.5, True, "2"])
def test_everywhere_checks_its_least_number(two, least):
    with pytest.raises((TypeError, ValueError), match="`_min` must be"):
        mirai_py.everywhere("", _min=least, _compute=two)


def test_everywhere_without_daemons_is_an_error():
    with pytest.raises(mirai_py.DaemonsNotSetError, match="No daemons set for the 'nobody' compute profile"):
        mirai_py.everywhere("", _compute="nobody")


def test_once_may_stand_anywhere_in_the_arguments(two):
    table = once({"a": 1})
    assert mirai(lambda t, k: t[k], table, "a", _compute=two).collect() == 1
    assert mirai(lambda t: t["deep"][0]["a"], {"deep": [table]}, _compute=two).collect() == 1
    assert mirai("t['a']", t=table, _compute=two).collect() == 1
    assert mirai(once(lambda x: x + 1), 1, _compute=two).collect() == 2


def test_once_gives_each_task_its_own_copy_unless_it_is_shared(one):
    def touch(items):
        items.append(1)
        return len(items)

    fresh, shared = once([]), once([], fresh=False)
    assert [mirai(touch, fresh, _compute=one).collect() for _ in range(3)] == [1, 1, 1]
    assert [mirai(touch, shared, _compute=one).collect() for _ in range(3)] == [1, 2, 3]


def test_try_mirai_is_a_mirai_where_there_is_room(two):
    assert mirai_py.try_mirai(abs, -1, _compute=two).collect() == 1


def test_map_needs_daemons_and_a_function(two):
    with pytest.raises(mirai_py.DaemonsNotSetError):
        mirai_map([1], abs, _compute="nobody")
    with pytest.raises(TypeError, match="`f` must be a function"):
        mirai_map([1], 5, _compute=two)
    with pytest.raises(TypeError, match="`_args` must be a mapping or a sequence"):
        mirai_map([1], abs, _args="ab", _compute=two)


def test_map_passes_constants_behind_the_element_or_by_name(two):
    def f(x, y=0, z=0):
        return (x, y, z)

    assert mirai_map([1, 2], f, _args=[7], z=8, _compute=two).collect() == [(1, 7, 8), (2, 7, 8)]
    assert mirai_map([1], f, _args={"y": 3}, _compute=two).collect() == [(1, 3, 0)]


def test_map_inside_a_map_cannot_start_daemons_but_may_be_sync(two):
    def nested(x):
        import mirai_py

        mirai_py.daemons(2)
        return x

    def synchronous(x):
        import mirai_py

        with mirai_py.daemons(sync=True):
            return mirai_py.mirai_map([x, x], lambda v: v + 1).collect()

    (error,) = mirai_map([1], nested, _compute=two).collect()
    assert "cannot create local daemons from within mirai map" in error.message
    assert mirai_map([1], synchronous, _compute=two).collect() == [[2, 2]]


def test_a_plain_task_may_have_daemons_of_its_own(one):
    def nested():
        import mirai_py

        with mirai_py.daemons(1):
            return mirai_py.mirai(abs, -7).collect()

    assert mirai(nested, _compute=one).collect() == 7


def test_a_promise_is_told_the_value_or_the_exception(two):
    import queue

    told = queue.SimpleQueue()
    mirai_map([4], lambda x: x, _promise=told.put, _compute=two)
    assert told.get(timeout=10) == 4
    failing = lambda x: 1 / 0
    mirai_map([4], failing, _promise=(told.put, lambda e: told.put(type(e))), _compute=two)
    assert told.get(timeout=10) is ZeroDivisionError


def test_seeded_tasks_draw_the_same_numbers_whatever_runs_where(fresh):
    def draw(_):
        import random

        return random.random()

    found = []
    for n in (1, 2):
        with mirai_py.daemons(n, seed=42, compute=fresh):
            found.append(mirai_map(range(6), draw).collect())
    with mirai_py.daemons(sync=True, seed=42, compute=fresh):
        found.append(mirai_map(range(6), draw).collect())
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) == 6


def test_the_hosts_random_numbers_are_untouched(fresh):
    import random

    random.seed(3)
    expected = random.random()
    random.seed(3)
    with mirai_py.daemons(sync=True, seed=1, compute=fresh):
        mirai("import random; random.random()").call()
    assert random.random() == expected


def test_a_persistent_everywhere_reaches_daemons_that_come_later_once(fresh, tmp_path):
    log = tmp_path / "log"
    source = "import os; open(path, 'a').write(f'{os.getpid()}\\n'); standing = 5"
    mirai_py.daemons(1, compute=fresh)
    first = mirai_py.everywhere(source, path=str(log), _persist=True, _compute=fresh)
    assert len(first) == 1
    first.collect()
    mirai_py.launch_local(2, compute=fresh)
    mirai_py.everywhere("", _min=3, _compute=fresh).collect()
    found = [mirai_py.mirai("standing", _compute=fresh) for _ in range(9)]
    assert mirai_py.collect_mirai(found) == [5] * 9
    pids = log.read_text().split()
    assert len(pids) == len(set(pids)) == 3


def test_a_persistent_everywhere_that_waits_for_the_first_daemon_runs_there_once(fresh, tmp_path):
    log = tmp_path / "log"
    mirai_py.daemons(url=mirai_py.local_url(), compute=fresh)
    source = "open(path, 'a').write('x'); standing = 5"
    waiting = mirai_py.everywhere(source, path=str(log), _persist=True, _compute=fresh)
    mirai_py.launch_local(1, compute=fresh)
    assert mirai_py.mirai("standing", _compute=fresh).collect() == 5
    assert not mirai_py.unresolved(waiting)
    assert log.read_text() == "x"
    assert mirai_py.info(fresh)["completed"] == 2


def test_a_persistent_everywhere_that_fails_on_a_later_daemon_is_told(fresh, tmp_path, caplog):
    mirai_py.daemons(1, compute=fresh)
    mark = tmp_path / "mark"
    mirai_py.everywhere("import os; os.mkdir(path)", path=str(mark), _persist=True, _compute=fresh).collect()
    mirai_py.launch_local(1, compute=fresh)
    told = threading.Event()
    caplog.handler.addFilter(lambda record: told.set() or True)
    mirai_py.everywhere("", _min=2, _compute=fresh).collect()
    assert told.wait(30)
    assert "FileExistsError" in caplog.text
    assert mirai_py.mirai(abs, -1, _compute=fresh).collect() == 1


@pytest.mark.parametrize("options", [{}, {"memory": 10}, {"dispatcher": False}])
def test_a_map_that_cannot_be_sent_leaves_the_random_streams_alone(fresh, options):
    mirai_py.daemons(url=mirai_py.local_url(), seed=1, compute=fresh, **options)
    before = mirai_py.nextget("stream", fresh)
    with pytest.raises(mirai_py.MiraiSerializationError):
        mirai_map([1, 2, threading.Lock()], abs, _compute=fresh)
    assert mirai_py.nextget("stream", fresh) == before
    mirai_map([1, 2, 3], abs, _compute=fresh)
    assert mirai_py.nextget("stream", fresh).counter == before.counter + 3
