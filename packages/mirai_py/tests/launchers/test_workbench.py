import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import mirai_py
from mirai_py import launch_remote, workbench_config

CLUSTERS = [
    {"name": "Local", "defaultImage": "base", "resourceProfiles": [{"name": "small"}, {"name": "large"}]},
    {"name": "Kubernetes", "defaultImage": None, "resourceProfiles": [{"name": "gpu"}]},
]


@pytest.fixture
def workbench(monkeypatch):
    """What stands for a Posit Workbench, in one of whose sessions this is; it notes the jobs that it gets."""
    pytest.importorskip("aiohttp")

    class Workbench(BaseHTTPRequestHandler):
        def _answer(self, text):
            known = self.headers["Cookie"] == self.headers["X-RS-Session-Server-RPC-Cookie"] == "a=secret"
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self):
            assert self.path == "/api/get_compute_envs"
            self._answer(json.dumps({"result": {"clusters": CLUSTERS}}))

        def do_POST(self):
            assert self.path == "/api/launch_job"
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert request["method"] == "launch_job"
            server.jobs.append(request["kwparams"]["job"])
            self._answer("{}")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Workbench)
    server.jobs = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("RS_SERVER_ADDRESS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("RS_SESSION_RPC_COOKIE", "a=secret")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_daemon_is_a_job_of_the_first_cluster_and_profile(workbench, listening):
    answers = launch_remote(2, workbench_config(), compute=listening[0])
    assert [answer.status for answer in answers] == [200, 200]
    (command,) = launch_remote(compute=listening[0])
    job = {
        "cluster": "Local",
        "container": {"image": "base"},
        "name": "mirai_daemon",
        "exe": "/bin/sh",
        "args": ["-c", command],
        "resourceProfile": "small",
    }
    assert workbench.jobs == [job, job]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resource_profile": "large"}, {"resourceProfile": "large"}),
        ({"cluster": "Kubernetes"}, {"cluster": "Kubernetes", "resourceProfile": "gpu"}),
        ({"cpus": 4}, {"resources": {"cpus": 4, "memory": 512}}),
        ({"memory": 8192}, {"resources": {"cpus": 1, "memory": 8192}}),
        ({"cpus": 2, "memory": 1024}, {"resources": {"cpus": 2, "memory": 1024}}),
        ({"job_name": "mine"}, {"name": "mine"}),
    ],
)
def test_cluster_resources_and_name_are_the_users_choice(options, told, workbench, listening):
    launch_remote(1, workbench_config(**options), compute=listening[0])
    (job,) = workbench.jobs
    assert job | told == job
    assert ("resourceProfile" in job) != ("resources" in job)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cluster": "x"}, "cluster 'x' not found. Available: Local, Kubernetes"),
        ({"resource_profile": "x"}, "resource profile 'x' not found. Available: small, large"),
    ],
)
def test_what_is_not_offered_is_an_error_that_lists_what_is(options, told, workbench, listening):
    with pytest.raises(ValueError, match=told):
        launch_remote(1, workbench_config(**options), compute=listening[0])


def test_a_cookie_that_is_outdated_is_an_error(workbench, listening, monkeypatch):
    monkeypatch.setenv("RS_SESSION_RPC_COOKIE", "a=old")
    with pytest.raises(mirai_py.MiraiLaunchError, match=r"does not tell its clusters at .*: 401"):
        launch_remote(1, workbench_config(), compute=listening[0])


@pytest.mark.parametrize("name", ["RS_SERVER_ADDRESS", "RS_SESSION_RPC_COOKIE"])
def test_outside_a_session_the_variable_that_is_missing_is_named(name, workbench, listening, monkeypatch):
    monkeypatch.delenv(name)
    with pytest.raises(mirai_py.MiraiLaunchError, match=f"no session of Posit Workbench: {name} is not set"):
        launch_remote(1, workbench_config(), compute=listening[0])
