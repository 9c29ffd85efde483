"""The code that a user writes across the layers, as the design promises it."""

import polars as pl

SCRIPT = """
from crew_py import crew_controller_local
from targets_py import *

tar_option_set(controller=crew_controller_local(workers=2, seconds_idle=60), error="continue")

def load_data():
    return [1, 2, 3]

def process_chunk(chunk):
    return chunk * 10

def combine(chunks):
    return sum(chunks)

pipeline = [
    tar_target("data", load_data),
    tar_target("processed", lambda data: process_chunk(data), pattern=map("data"), iteration="list"),
    tar_target("report", "combine(processed)"),
]
"""


def test_tasks_on_daemons():
    import mirai_py

    with mirai_py.daemons(2):
        m = mirai_py.mirai(lambda data, k: sum(data) * k, [1, 2], k=3, _timeout=60_000)
        squares = mirai_py.mirai_map(range(10), lambda x: x**2).collect(progress=True)
        assert m.collect() == 9
        assert squares == [x**2 for x in range(10)]


def test_a_worker_pool():
    import crew_py

    controller = crew_py.crew_controller_local(name="main", workers=2, seconds_idle=10)
    controller.start()
    controller.push(name="task1", command=lambda x: x + 1, data={"x": 1})
    controller.wait()
    results = controller.collect()
    assert isinstance(results, pl.DataFrame)
    assert results["result"].to_list() == [2]
    assert controller.summary()["success"].to_list() == [1]
    controller.terminate()


def test_a_pipeline_on_a_pool_with_a_resource_log(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    from autometric_py import log_plot, log_read, log_start, log_stop
    from targets_py import tar_make, tar_outdated, tar_read

    monkeypatch.chdir(tmp_path)
    (tmp_path / "_targets.py").write_text(SCRIPT)
    log_start("log.txt", seconds=0.2)
    tar_make(reporter="silent")
    log_stop()
    assert tar_read("report") == 60
    assert tar_outdated() == []
    log = log_read("log.txt")
    assert "main" in set(log["name"])
    assert isinstance(log_plot(log), Axes)


def test_a_controller_that_cannot_start_workers_ends_the_run_with_its_name(tmp_path, monkeypatch):
    import pytest

    from targets_py import TarRunError, tar_make

    monkeypatch.chdir(tmp_path)
    broken = SCRIPT.replace("seconds_idle=60", 'name="broken", python_arguments=("--no-such-option",)')
    (tmp_path / "_targets.py").write_text(broken)
    with pytest.raises(TarRunError, match="controller broken failed"):
        tar_make(reporter="silent")
