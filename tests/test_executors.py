"""Other people's libraries on our daemons."""

import os

import pytest

import mirai_py


def test_grid_search_of_scikit_learn_runs_on_daemons():
    datasets = pytest.importorskip("sklearn.datasets")
    import joblib
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    x, y = datasets.load_iris(return_X_y=True)
    grid = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1], "kernel": ["rbf"]}
    here = GridSearchCV(SVC(), grid, cv=3).fit(x, y)
    mirai_py.register_joblib()
    with mirai_py.daemons(2, compute="grid"), joblib.parallel_config(backend="mirai"):
        there = GridSearchCV(SVC(), grid, cv=3).fit(x, y)
        assert mirai_py.info()["completed"] > 0
    assert there.best_params_ == here.best_params_
    assert (there.cv_results_["mean_test_score"] == here.cv_results_["mean_test_score"]).all()


def test_dask_computes_on_a_cluster():
    dask = pytest.importorskip("dask")
    pids = [dask.delayed(os.getpid)(dask_key_name=f"pid-{i}") for i in range(10)]
    total = dask.delayed(sum)([dask.delayed(pow)(i, 2) for i in range(10)])
    with mirai_py.make_cluster(2) as cluster:
        value, *found = dask.compute(total, *pids, scheduler=cluster)
    assert value == 285
    assert os.getpid() not in found


def test_dasks_own_threaded_scheduler_takes_a_cluster_as_its_pool():
    threaded = pytest.importorskip("dask.threaded")
    graph = {"a": 1, "b": (pow, "a", 5), "pid": (os.getpid,)}
    with mirai_py.make_cluster(2) as cluster:
        value, pid = threaded.get(graph, ["b", "pid"], pool=cluster)
    assert value == 1
    assert pid != os.getpid()
