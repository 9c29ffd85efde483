import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import mirai_py
from mirai_py import daemons, http_config, launch_remote


@pytest.fixture
def service():
    """A service that writes down what it is asked, and answers `service.answer`: a status and a text."""
    pytest.importorskip("aiohttp")

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            server.asked.append((self.command, self.path, dict(self.headers), body))
            server.run(body)
            status, text = server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.asked, server.answer, server.run = [], (200, "ok"), lambda body: None
    server.url = f"http://127.0.0.1:{server.server_port}/launch"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_command_stands_in_the_body_as_json_and_makes_a_daemon(service, fresh, python, connected):
    started = []
    service.run = lambda body: started.append(subprocess.Popen(json.loads(body)["job"]["run"], shell=True))
    config = http_config(service.url, data='{"job": {"run": "%s"}}', python=python)
    daemons(2, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert connected(fresh, 2) == 2
    daemons(0, compute=fresh)
    assert [process.wait(20) for process in started] == [0, 0]


def test_quotes_backslashes_and_lines_of_a_certificate_are_escaped(service, fresh):
    pytest.importorskip("cryptography")
    daemons(url="tls+tcp://127.0.0.1:0", compute=fresh)
    (command,) = launch_remote(output='a "b" \\ \n c', compute=fresh)
    launch_remote(1, http_config(service.url), output='a "b" \\ \n c', compute=fresh)
    (_, _, _, body) = service.asked[0]
    assert json.loads(body) == {"command": command}


def test_the_answers_are_returned(service, listening):
    answers = launch_remote(2, http_config(service.url), compute=listening[0])
    assert [(answer.status, answer.data) for answer in answers] == [(200, "ok")] * 2


def test_headers_cookie_and_token_are_sent_and_functions_called_at_each_launch(service, listening):
    secrets = iter(["first", "second"])
    config = http_config(
        lambda: service.url,
        "PUT",
        headers=lambda: {"X-API-Version": "2"},
        data=lambda label: f'{{"label": "{label}", "command": "%s"}}',
        cookie="abc",
        token=lambda: next(secrets),
        label="x",
    )
    for _ in range(2):
        launch_remote(1, config, compute=listening[0])
    methods, paths, headers, bodies = zip(*service.asked, strict=True)
    assert set(methods) == {"PUT"}
    assert set(paths) == {"/launch"}
    assert [h["X-API-Version"] for h in headers] == ["2", "2"]
    assert [h["Cookie"] for h in headers] == ["abc", "abc"]
    assert [h["Authorization"] for h in headers] == ["Bearer first", "Bearer second"]
    assert [json.loads(body)["label"] for body in bodies] == ["x", "x"]


def test_a_configuration_shows_no_secret():
    config = http_config("http://h/", headers={"X-Key": "secret"}, cookie="secret", token="secret")
    assert "secret" not in repr(config)


def test_a_service_that_refuses_is_an_error_and_leaves_the_profile_unset(service, fresh):
    service.answer = (403, "no such user")
    with pytest.raises(mirai_py.MiraiLaunchError, match="refused to start a daemon: status 403, no such"):
        daemons(1, url=mirai_py.local_url(tcp=True), remote=http_config(service.url), compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_service_that_is_not_there_is_an_error(listening):
    pytest.importorskip("aiohttp")
    with pytest.raises(mirai_py.MiraiLaunchError, match=r"no daemon could be started through .* refused"):
        launch_remote(1, http_config("http://127.0.0.1:1/"), compute=listening[0])


def test_without_the_extra_the_error_names_it(listening, without):
    without("aiohttp")
    with pytest.raises(mirai_py.MissingExtraError, match=r'pip install "mirai-nng\[http\]"'):
        launch_remote(1, http_config("http://127.0.0.1:1/"), compute=listening[0])


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"url": 5}, TypeError, "`url` must be a str or a function"),
        ({"data": b"%s"}, TypeError, "`data` must be a str or a function"),
        ({"data": "no place"}, ValueError, "`data` must contain %s"),
        ({"headers": ["x"]}, TypeError, "`headers` must be a mapping or a function"),
        ({"label": "x"}, TypeError, "unknown argument 'label'"),
        ({"python": ""}, ValueError, "`python` must name an interpreter"),
    ],
)
def test_bad_arguments_are_named(options, error, told):
    with pytest.raises(error, match=told):
        http_config(**{"url": "http://h/", **options})
