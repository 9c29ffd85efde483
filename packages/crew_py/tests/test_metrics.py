import sys

import pytest

import crew_py
from crew_py import metrics


def test_a_worker_without_autometric_says_so_and_goes_on(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "autometric_py", None)
    options = crew_py.crew_options_metrics(path="logs", validate=False)
    metrics.start(options)
    with metrics.phase("task"):
        pass
    metrics.stop()
    assert "crew-py[metrics]" in capsys.readouterr().err


def test_no_path_means_no_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics.start(crew_py.crew_options_metrics())
    metrics.stop()
    assert list(tmp_path.iterdir()) == []


def autometric():
    module = pytest.importorskip("autometric_py")
    if not hasattr(module, "log_read"):
        pytest.skip("this autometric_py cannot log")
    return module


def test_each_worker_logs_to_its_own_file_with_the_task_as_phase(local, tmp_path):
    module = autometric()
    controller = local(options_metrics=crew_py.crew_options_metrics(str(tmp_path / "logs"), 0.05))
    controller.push("import time; time.sleep(0.5)", name="sleeper")
    assert controller.wait(seconds_timeout=30)
    controller.terminate()
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name.startswith("crew_log_")
    assert len(file.stem) == len("crew_log_") + 16
    log = module.log_read(file)
    assert "sleeper" in log["phase"].to_list()
    assert set(log["name"].to_list()) == {file.stem}


def test_metrics_may_share_the_log_of_the_worker(local, tmp_path):
    module = autometric()
    controller = local(
        options_metrics=crew_py.crew_options_metrics("/dev/stdout", 0.05),
        options_local=crew_py.crew_options_local(str(tmp_path)),
    )
    controller.push("print('hello'); import time; time.sleep(0.5)", name="sleeper")
    assert controller.wait(seconds_timeout=30)
    controller.terminate()
    (file,) = tmp_path.iterdir()
    assert "hello" in file.read_text()
    assert "sleeper" in module.log_read(file)["phase"].to_list()
