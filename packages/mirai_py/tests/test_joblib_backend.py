import multiprocessing
import os
import sys

import pytest

import mirai_py


def test_without_joblib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(mirai_py.MissingExtraError, match=r'pip install "mirai-nng\[joblib\]"') as caught:
        mirai_py.register_joblib()
    assert isinstance(caught.value, ImportError)


@pytest.fixture
def joblib():
    joblib = pytest.importorskip("joblib")
    mirai_py.register_joblib()
    return joblib


def test_more_tasks_than_daemons_are_done_in_order_elsewhere(joblib, two):
    with joblib.parallel_config("mirai", compute=two):
        values = joblib.Parallel()(joblib.delayed(pow)(i, 2) for i in range(200))
        pids = set(joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(20)))
    assert values == [i * i for i in range(200)]
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_the_current_profile_is_used(joblib, fresh):
    with (
        mirai_py.daemons(1, compute=fresh),
        joblib.parallel_config(backend="mirai"),
    ):
        (pid,) = joblib.Parallel()([joblib.delayed(os.getpid)()])
    assert pid != os.getpid()


@pytest.mark.parametrize(("asked", "given"), [(-1, 2), (-2, 1), (-9, 1), (1, 1), (2, 2), (50, 2)])
def test_as_many_run_at_once_as_there_are_daemons(joblib, two, asked, given):
    with joblib.parallel_config("mirai", compute=two, n_jobs=asked):
        assert joblib.effective_n_jobs(asked) == given


def test_no_jobs_make_no_sense(joblib, two):
    with (
        joblib.parallel_config("mirai", compute=two),
        pytest.raises(ValueError, match="`n_jobs` is 0"),
    ):
        joblib.Parallel(n_jobs=0)([joblib.delayed(abs)(-1)])


def test_without_daemons_it_says_so(joblib):
    with (
        joblib.parallel_config("mirai", compute="nothing of this name"),
        pytest.raises(mirai_py.DaemonsNotSetError),
    ):
        joblib.Parallel()([joblib.delayed(abs)(-1)])


def test_an_exception_is_raised_and_stops_the_rest(joblib, fresh, gate):
    mirai_py.daemons(2, compute=fresh)
    with joblib.parallel_config("mirai", compute=fresh):
        calls = [joblib.delayed(gate.task)(gate.argument), joblib.delayed(divmod)(1, 0)]
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel(batch_size=1)(calls)
        # The task at the gate, which never opens, was stopped: both daemons work.
        values = joblib.Parallel(batch_size=1)(joblib.delayed(pow)(2, i) for i in range(10))
    assert values == [2**i for i in range(10)]


def test_what_is_nested_runs_one_after_the_other_in_its_task(joblib, two):
    def inner():
        import os

        import joblib

        pids = joblib.Parallel(n_jobs=2)(joblib.delayed(os.getpid)() for _ in range(4))
        return {os.getpid(), *pids}

    inner.__module__ = "__main__"
    with joblib.parallel_config("mirai", compute=two):
        found = joblib.Parallel(batch_size=1)(joblib.delayed(inner)() for _ in range(3))
    assert [len(pids) for pids in found] == [1, 1, 1]


def test_values_can_be_read_as_they_come(joblib, two):
    with joblib.parallel_config("mirai", compute=two):
        values = joblib.Parallel(return_as="generator")(joblib.delayed(abs)(-i) for i in range(50))
        assert list(values) == list(range(50))
        values = joblib.Parallel(return_as="generator_unordered")(joblib.delayed(abs)(-i) for i in range(50))
        assert sorted(values) == list(range(50))


def test_a_timeout_of_joblib_ends_the_task(joblib, fresh, gate):
    mirai_py.daemons(1, compute=fresh)
    with joblib.parallel_config("mirai", compute=fresh):
        with pytest.raises(multiprocessing.TimeoutError):
            joblib.Parallel(n_jobs=2, timeout=0.5)([joblib.delayed(gate.task)(gate.argument)])
        assert joblib.Parallel()([joblib.delayed(abs)(-1)]) == [1]
