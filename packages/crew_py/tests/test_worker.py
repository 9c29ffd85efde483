import os
import subprocess
import sys

import pytest

import crew_py
import mirai_py
import nngsock


@pytest.fixture
def served():
    """Settings of a worker, and a profile with one task for it."""
    client = crew_py.crew_client(host="127.0.0.1")
    client.start()
    launcher = crew_py.crew_launcher(name="main", tasks_max=1)
    launcher.start(client.url, client.profile)
    yield launcher
    client.terminate()


def run(source, environment):
    return subprocess.run(
        [sys.executable, "-c", source],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_worker_introduces_itself_serves_and_says_why_it_leaves(served):
    task = mirai_py.mirai("import os; os.environ['CREW_CONTROLLER']", _compute=served.profile)
    done = run(served.call(), served.environment())
    assert task.collect() == "main"
    assert done.returncode == 0
    assert "controller 'main'" in done.stdout
    assert f"crew_py {crew_py.__version__}" in done.stdout
    assert "task limit reached" in done.stdout


def test_the_environment_is_restored(served):
    mirai_py.mirai("1", _compute=served.profile)
    source = f"import os; {served.call()}; print(os.environ.get('CREW_CONTROLLER'))"
    assert run(source, served.environment()).stdout.splitlines()[-1] == "None"


def test_a_worker_that_cannot_connect_says_so_and_exits_with_1():
    settings = {"url": "tcp://127.0.0.1:1"}
    source = f"import crew_py; crew_py.crew_worker({settings!r}, 'main', seconds_launch=0.1)"
    done = run(source, {"MIRAI_PY_TOKEN": "00" * 16})
    assert done.returncode == 1
    assert "could not connect to tcp://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert "controller 'main'" in done.stdout


def test_a_refused_dial_is_tried_again_with_the_token(monkeypatch):
    answers = [nngsock.NngError(6), nngsock.NngError(26), 1]
    tokens = []

    def daemon(**settings):
        tokens.append(os.environ.pop("MIRAI_PY_TOKEN", None))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setenv("MIRAI_PY_TOKEN", "token")
    monkeypatch.setattr(mirai_py, "daemon", daemon)
    monkeypatch.setattr("crew_py.worker.FIRST_PAUSE", 0.001)
    crew_py.crew_worker({}, "main")
    assert tokens == ["token"] * 3


def test_another_error_is_final(monkeypatch, capsys):
    def daemon(**settings):
        raise nngsock.NngError(3)

    monkeypatch.setattr(mirai_py, "daemon", daemon)
    with pytest.raises(SystemExit):
        crew_py.crew_worker({"url": "nonsense"}, "main")
    assert "nonsense" in capsys.readouterr().err


def test_workers_need_no_polars():
    source = "import sys; sys.modules['polars'] = None; import crew_py; crew_py.crew_eval('1', 'task')"
    assert run(source, {}).returncode == 0
