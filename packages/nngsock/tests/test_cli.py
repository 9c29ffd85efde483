"""The command line, as processes: against itself, and against sockets."""

import json
import pickle
import shutil
import signal
import subprocess
import sys

import pytest

import nngsock

SECONDS = 30


@pytest.fixture
def start():
    """A function that starts a command and gives the process."""
    processes = []

    def start(*args, stdin=subprocess.DEVNULL):
        process = subprocess.Popen(
            [sys.executable, "-m", "nngsock", *args],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def run():
    """A function that runs a command to its end."""

    def run(*args, text=""):
        return subprocess.run(
            [sys.executable, "-m", "nngsock", *args],
            check=False, input=text, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip

    return run


def ended(process, text=None):
    """What a process wrote, once it has ended well."""
    out, errors = process.communicate(text, timeout=SECONDS)
    assert (process.returncode, errors) == (0, "")
    return out


@pytest.fixture
def listening(make_socket, make_url):
    """A function that gives a listening socket and its address."""

    def make(proto, transport="ipc"):
        sock = make_socket(proto, listen=make_url(transport))
        return sock, sock.listener[0].url

    return make


class TestAgainstItself:
    def test_push_and_pull(self, start, make_url):
        url = make_url("ipc")
        pulling = start("pull", "--listen", url, "--count", "3")
        pushing = start("push", "--dial", url, "--lines", stdin=subprocess.PIPE)
        assert ended(pushing, "one\ntwo\nthré\n") == ""
        assert ended(pulling) == "one\ntwo\nthré\n"

    def test_req_and_rep(self, start, make_url):
        url = make_url("ipc")
        answering = start("rep", "--listen", url, "--data", "answer", "--count", "2", "--quoted")
        asking = start("req", "--dial", url, "--data", "question", "--count", "2", "--format", "json")
        assert ended(asking) == '"answer"\n"answer"\n'
        assert ended(answering) == '"question"\n"question"\n'

    def test_pub_and_sub(self, start, make_url):
        url = make_url("ipc")
        subscribed = start("sub", "--dial", url, "--subscribe", "b", "--count", "2")
        publishing = start("pub", "--listen", url, "--lines", stdin=subprocess.PIPE)
        ended(publishing, "apple\nbanana\nberry\n")
        assert ended(subscribed) == "banana\nberry\n"

    def test_surveyor_and_respondent(self, start, make_url):
        url = make_url("ipc")
        responding = start("respondent", "--listen", url, "--count", "1")
        surveying = start("surveyor", "--dial", url, "--data", "who?", "--timeout", "10")
        assert ended(responding) == "who?\n"
        surveying.send_signal(signal.SIGINT)  # the survey goes on until its time is over
        out, _ = surveying.communicate(timeout=SECONDS)
        assert out == "who?\n"


class TestAgainstSockets:
    def test_what_is_sent_is_the_bytes(self, start, listening):
        sock, url = listening("pull")
        sending = start("send", "--dial", url, "--data", "é")
        assert sock.recv("raw", block=SECONDS * 1000) == "é".encode()
        ended(sending)

    def test_a_file_is_one_message(self, start, listening, tmp_path):
        sock, url = listening("pull")
        (tmp_path / "data").write_bytes(bytes(range(256)) * 1000)
        sending = start("push", "--dial", url, "--file", str(tmp_path / "data"))
        assert sock.recv("raw", block=SECONDS * 1000) == bytes(range(256)) * 1000
        ended(sending)

    def test_the_same_again_and_again(self, start, listening):
        sock, url = listening("pull")
        sending = start("push", "--dial", url, "--data", "x", "--interval", "0.01", "--count", "3")
        assert [sock.recv("raw", block=SECONDS * 1000) for _ in range(3)] == [b"x"] * 3
        ended(sending)

    def test_a_pair_sends_then_receives(self, start, listening, patience):
        sock, url = listening("pair")
        talking = start("pair", "--dial", url, "--data", "hello", "--timeout", "5")
        assert sock.recv("raw", block=SECONDS * 1000) == b"hello"
        sock.send(b"back", "raw", block=patience)
        assert talking.stdout.readline() == "back\n"

    def test_any_protocol_can_send(self, start, listening):
        sock, url = listening("pair1")
        sending = start("send", "--protocol", "poly", "--dial", url, "--data", "x")
        assert sock.recv("raw", block=SECONDS * 1000) == b"x"
        ended(sending)

    def test_strings_as_r_sends_them(self, start, listening, patience):
        sock, url = listening("rep")
        asking = start("req", "--dial", url, "--mode", "string", "--data", "abc")
        assert sock.recv("raw", block=SECONDS * 1000) == b"abc\0"
        sock.send("answer", "raw", block=patience)
        assert ended(asking) == "answer\n"

    def test_objects_where_it_is_asked_for(self, start, listening, patience):
        sock, url = listening("rep")
        asking = start("req", "--dial", url, "--mode", "serial", "--data", "{'a': (1, None)}", "--json")
        assert sock.recv(block=SECONDS * 1000) == {"a": (1, None)}
        sock.send({"b": [2.5]}, block=patience)
        assert json.loads(ended(asking)) == {"b": [2.5]}

    def test_pickles_are_not_read_unasked(self, start, listening):
        sock, url = listening("push")
        receiving = start("pull", "--dial", url, "--count", "1", "--format", "hex")
        pickled = pickle.dumps("never")
        sock.send(pickled, "raw", block=SECONDS * 1000)
        assert bytes.fromhex(ended(receiving).strip('"\n').replace("\\x", "")) == pickled

    def test_what_cannot_be_unpickled_is_said_and_shown(self, start, listening):
        sock, url = listening("push")
        receiving = start("pull", "--dial", url, "--count", "1", "--mode", "serial")
        sock.send(b"no pickle", "raw", block=SECONDS * 1000)
        out, errors = receiving.communicate(timeout=SECONDS)
        assert (receiving.returncode, out) == (0, "no pickle\n")
        assert errors.startswith("nngsock: received data could not be unserialized")


class TestEnds:
    def test_ctrl_c_ends_it_with_130(self, start, listening):
        sock, url = listening("push")
        receiving = start("pull", "--dial", url)
        sock.send(b"ready", "raw", block=SECONDS * 1000)
        assert receiving.stdout.readline() == "ready\n"
        receiving.send_signal(signal.SIGINT)
        out, errors = receiving.communicate(timeout=SECONDS)
        assert (receiving.returncode, out, errors) == (130, "", "")

    def test_a_broken_pipe_ends_it_in_peace(self, start, listening):
        sock, url = listening("push")
        receiving = start("pull", "--dial", url)
        sock.send(b"first", "raw", block=SECONDS * 1000)
        assert receiving.stdout.readline() == "first\n"
        receiving.stdout.close()
        sock.send(b"second", "raw", block=SECONDS * 1000)
        assert receiving.wait(timeout=SECONDS) == 141
        assert receiving.stderr.read() == ""

    def test_nothing_within_the_time_is_a_failure(self, run, make_url):
        found = run("pull", "--listen", make_url("ipc"), "--timeout", "0.05")
        assert (found.returncode, found.stderr) == (1, "nngsock: cannot receive: 5 | Timed out\n")
        found = run("push", "--dial", make_url("ipc"), "--timeout", "0.05", "--data", "x")
        assert (found.returncode, found.stderr) == (1, "nngsock: nobody is connected after 0.05 s\n")

    def test_the_end_of_the_time_after_a_message_is_none(self, start, listening):
        sock, url = listening("push")
        receiving = start("pull", "--dial", url, "--timeout", "5")
        sock.send(b"one", "raw", block=SECONDS * 1000)
        assert ended(receiving) == "one\n"

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (["push"], "give an address"),
            (["shout", "--dial", "x"], "invalid choice: 'shout'"),
            (["push", "--dial", "x", "--protocol", "pair"], "--protocol is for the commands send and recv"),
            (["send", "--dial", "x", "--protocol", "smoke"], "invalid choice: 'smoke'"),
            (["pull", "--dial", "x", "--timeout", "soon"], "invalid number of seconds value: 'soon'"),
            (["pull", "--dial", "x", "--count", "0"], "invalid count value: '0'"),
            (["push", "--dial", "x", "--data", "a", "--file", "b"], "not allowed with argument"),
        ],
    )
    def test_a_wrong_command_line_is_explained(self, args, told, capsys):
        from nngsock.cli import main

        with pytest.raises(SystemExit) as ending:
            main(args)
        assert ending.value.code == 2
        assert told in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("args", "told"),
        [
            (["push", "--dial", "nothing://x", "--data", "a"], "9 | Not supported: dialer for 'nothing://x'"),
            (["push", "--dial", "tls+tcp://127.0.0.1:1", "--data", "a"], "--cacert FILE is needed to trust"),
            (["pull", "--listen", "tls+tcp://127.0.0.1:0"], "--cert FILE is needed to listen"),
            (["pull", "--listen", "tls+tcp://127.0.0.1:0", "--cert", "/no/file"], "12 | "),
            (["rep", "--listen", "inproc://x", "--file", "/no/file"], "No such file or directory"),
        ],
    )  # fmt: skip
    def test_what_fails_is_told_in_one_line(self, args, told, capsys):
        from nngsock.cli import main

        assert main([*args, "--timeout", "0.05"]) == 1
        errors = capsys.readouterr().err
        assert errors.startswith("nngsock: ")
        assert errors.count("\n") == 1
        assert told in errors


def test_tls_with_certificates_of_ones_own(start, make_url, tmp_path):
    pytest.importorskip("cryptography")
    made = nngsock.write_cert(cn="localhost")
    (tmp_path / "server").write_text("".join(made["server"]))
    (tmp_path / "authority").write_text(made["client"][0])
    sock = nngsock.socket("pull")
    with sock:
        sock.listen("tls+tcp://localhost:0", tls=nngsock.tls_config(server=made["server"]), fail="error")
        url = sock.listener[0].url
        sending = start("push", "--dial", url, "--cacert", str(tmp_path / "authority"), "--data", "secret")
        assert sock.recv("raw", block=SECONDS * 1000) == b"secret"
        ended(sending)


@pytest.mark.skipif(shutil.which("nngcat") is None, reason="nngcat (Debian's nng-utils) is not installed")
def test_it_talks_to_nngcat(start, make_url):
    url = make_url("ipc")
    command = ["nngcat", "--rep", "--listen", url, "--data", "answer", "--raw", "--count", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as nngcat:
        assert ended(start("req", "--dial", url, "--data", "question")) == "answer\n"
        assert nngcat.communicate(timeout=SECONDS)[0] == "question"


def test_a_large_message_has_left_before_it_ends(start, listening, tmp_path):
    sock, url = listening("pair")
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    sending = start("send", "--protocol", "pair", "--dial", url, "--file", str(tmp_path / "large"))
    assert len(sock.recv("buffer", block=SECONDS * 1000)) == 50_000_000
    ended(sending)


def test_it_does_not_wait_for_a_peer_that_is_gone(start, listening):
    sock, url = listening("pair")
    sending = start("send", "--protocol", "pair", "--dial", url, "--data", "x")
    assert sock.recv("raw", block=SECONDS * 1000) == b"x"
    sock.close()
    ended(sending)
