"""Peers that others have written: nngcat of Debian's nng-utils, and pynng as it is."""

import shutil
import subprocess
import sys

import pynng
import pytest

import nngsock

NNGCAT = shutil.which("nngcat")
needs_nngcat = pytest.mark.skipif(NNGCAT is None, reason="nngcat is not installed (Debian: nng-utils)")
TRANSPORTS = ("ipc", "tcp")
# How nngcat calls the protocols of ours, and pynng theirs.
NAMES = {
    "pair": ("--pair0", "Pair0"),
    "pair1": ("--pair1", "Pair1"),
    "push": ("--push", "Push0"),
    "pull": ("--pull", "Pull0"),
    "pub": ("--pub", "Pub0"),
    "sub": ("--sub", "Sub0"),
    "req": ("--req", "Req0"),
    "rep": ("--rep", "Rep0"),
    "surveyor": ("--surveyor", "Surveyor0"),
    "respondent": ("--respondent", "Respondent0"),
    "bus": ("--bus", "Bus0"),
}
ONE_WAY = [("pair", "pair"), ("pair1", "pair1"), ("push", "pull"), ("pub", "sub"), ("bus", "bus")]
ASKING = [("req", "rep"), ("surveyor", "respondent")]
TEXT = "grüße, 世界"


@pytest.fixture
def listening(make_socket, make_url):
    """A function that gives a listening socket, and a cv that is signalled when a peer has come."""

    def make(protocol, transport):
        s, joined = make_socket(protocol), nngsock.cv()
        nngsock.pipe_notify(s, joined, add=True)
        nngsock.listen(s, make_url(transport), fail="error")
        return s, joined

    return make


@pytest.fixture
def nngcat(patience):
    """A function that starts nngcat, and ends it after the test."""
    started = []

    def start(protocol, url, *options):
        command = [NNGCAT, NAMES[protocol][0], "--dial", url, *options]
        if protocol not in {"push", "pub"}:
            command.append("--raw")  # it writes a message as it is, so that its output needs no parsing
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@needs_nngcat
@pytest.mark.parametrize("transport", TRANSPORTS)
class TestNngcat:
    @pytest.mark.parametrize(("sender", "receiver"), ONE_WAY, ids=map("-".join, ONE_WAY))
    def test_it_sends_to_us(self, listening, nngcat, patience, transport, sender, receiver):
        s, _ = listening(receiver, transport)
        if receiver == "sub":
            nngsock.subscribe(s)
        nngcat(sender, s.listener[0].url, "--data", TEXT, "--interval", "1", "--delay", "1")
        assert nngsock.recv(s, "raw", block=patience) == TEXT.encode()

    @pytest.mark.parametrize(("sender", "receiver"), ONE_WAY, ids=map("-".join, ONE_WAY))
    def test_we_send_to_it(self, listening, nngcat, patience, transport, sender, receiver):
        s, joined = listening(sender, transport)
        options = ["--recv-timeout", "5", "--count", "1"]
        if receiver == "sub":
            options += ["--subscribe", ""]
        process = nngcat(receiver, s.listener[0].url, *options)
        assert nngsock.until(joined, patience)
        # A subscription is set before it dials, so one message is enough in every protocol.
        assert nngsock.send(s, TEXT.encode(), "raw", block=patience) == 0
        assert process.stdout.read(len(TEXT.encode())) == TEXT.encode()

    @pytest.mark.parametrize(("asker", "answerer"), ASKING, ids=map("-".join, ASKING))
    def test_we_answer_its_question(self, listening, nngcat, patience, transport, asker, answerer):
        s, _ = listening(answerer, transport)
        process = nngcat(asker, s.listener[0].url, "--data", TEXT, "--recv-timeout", "5", "--delay", "1")
        assert nngsock.recv(s, "raw", block=patience) == TEXT.encode()
        assert nngsock.send(s, b"answer", "raw", block=patience) == 0
        assert process.stdout.read(6) == b"answer"

    @pytest.mark.parametrize(("asker", "answerer"), ASKING, ids=map("-".join, ASKING))
    def test_it_answers_our_question(self, listening, nngcat, patience, transport, asker, answerer):
        s, joined = listening(asker, transport)
        nngcat(answerer, s.listener[0].url, "--data", TEXT)
        assert nngsock.until(joined, patience)
        assert nngsock.send(s, b"question", "raw", block=patience) == 0
        assert nngsock.recv(s, "raw", block=patience) == TEXT.encode()

    def test_a_topic_is_a_prefix_for_it_too(self, listening, nngcat, patience, transport):
        s, joined = listening("pub", transport)
        process = nngcat("sub", s.listener[0].url, "--subscribe", "b", "--recv-timeout", "5", "--count", "1")
        assert nngsock.until(joined, patience)
        for topic in (b"a1", b"b2", b"c3"):
            nngsock.send(s, topic, "raw", block=patience)
        assert process.stdout.read(2) == b"b2"


PYNNG = """
import sys
import pynng

kind, url, data = sys.argv[1:]
with getattr(pynng, kind)(dial=url, recv_timeout=20_000, send_timeout=20_000) as s:
    if kind == "Sub0":
        s.subscribe(b"")
    if kind in {"Push0", "Pub0", "Req0", "Surveyor0"}:
        s.send(bytes.fromhex(data))
    if kind == "Pub0":
        print("sent", flush=True)
        sys.stdin.read()
    elif kind != "Push0":
        received = s.recv()
        if kind in {"Rep0", "Respondent0", "Pair0", "Pair1", "Bus0"}:
            s.send(received[::-1])
        print(received.hex(), flush=True)
        sys.stdin.read()
    else:
        sys.stdin.read()
"""
DATA = bytes(range(256)) * 100


@pytest.fixture
def pynng_process():
    """A function that starts a process which speaks one protocol by pynng alone."""
    started = []

    def start(protocol, url):
        process = subprocess.Popen(
            [sys.executable, "-c", PYNNG, NAMES[protocol][1], url, DATA.hex()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
class TestPynngElsewhere:
    @pytest.mark.parametrize("protocol", ["pair", "pair1", "bus"])
    def test_what_we_send_comes_back(self, listening, pynng_process, patience, transport, protocol):
        s, joined = listening(protocol, transport)
        process = pynng_process(protocol, s.listener[0].url)
        assert nngsock.until(joined, 4 * patience)
        assert nngsock.send(s, DATA, "raw", block=patience) == 0
        assert nngsock.recv(s, "raw", block=patience) == DATA[::-1]
        assert process.stdout.readline() == DATA.hex() + "\n"

    @pytest.mark.parametrize(
        ("sender", "receiver"), [("push", "pull"), ("req", "rep"), ("surveyor", "respondent")]
    )
    def test_it_sends_to_us(self, listening, pynng_process, patience, transport, sender, receiver):
        s, _ = listening(receiver, transport)
        process = pynng_process(sender, s.listener[0].url)
        assert nngsock.recv(s, "raw", block=4 * patience) == DATA
        if sender != "push":
            assert nngsock.send(s, b"answer", "raw", block=patience) == 0
            assert process.stdout.readline() == b"answer".hex() + "\n"

    @pytest.mark.parametrize(
        ("sender", "receiver"), [("push", "pull"), ("req", "rep"), ("surveyor", "respondent")]
    )
    def test_we_send_to_it(self, listening, pynng_process, patience, transport, sender, receiver):
        s, joined = listening(sender, transport)
        process = pynng_process(receiver, s.listener[0].url)
        assert nngsock.until(joined, 4 * patience)
        if sender == "surveyor":
            nngsock.survey_time(s, patience)
        assert nngsock.send(s, DATA, "raw", block=patience) == 0
        assert process.stdout.readline() == DATA.hex() + "\n"
        if sender != "push":
            assert nngsock.recv(s, "raw", block=patience) == DATA[::-1]


@pytest.mark.parametrize("transport", ["inproc", "ipc", "tcp"])
class TestPynngInThisProcess:
    @pytest.fixture
    def both(self, listening, patience):
        """A function that gives a listening socket of ours and a connected one of pynng."""
        opened = []

        def make(ours, theirs, transport):
            s, joined = listening(ours, transport)
            p = getattr(pynng, NAMES[theirs][1])(recv_timeout=5_000, send_timeout=5_000)
            opened.append(p)
            p.dial(s.listener[0].url, block=True)
            assert nngsock.until(joined, patience)
            return s, p

        yield make
        for p in opened:
            p.close()

    @pytest.mark.parametrize("protocol", ["pair", "pair1", "bus"])
    def test_messages_pass_both_ways(self, both, patience, transport, protocol):
        s, p = both(protocol, protocol, transport)
        p.send(DATA)
        assert nngsock.recv(s, "raw", block=patience) == DATA
        assert nngsock.send(s, DATA, "raw", block=patience) == 0
        assert p.recv() == DATA

    def test_publications_arrive(self, both, patience, transport):
        s, p = both("pub", "sub", transport)
        p.subscribe(b"a")
        nngsock.send(s, [b"b", b"1"], "parts", block=patience)
        nngsock.send(s, [b"a", b"2"], "parts", block=patience)
        assert p.recv() == b"a2"

    def test_questions_are_answered(self, both, patience, transport):
        s, p = both("rep", "req", transport)
        p.send(b"question")
        assert nngsock.reply(nngsock.context(s), lambda x: x[::-1], "raw", "raw", timeout=patience) == 0
        assert p.recv() == b"noitseuq"

    def test_aios_of_both_complete_side_by_side(self, both, transport):
        import asyncio

        s, p = both("pair1", "pair1", transport)

        async def main():
            ours, theirs = nngsock.recv_aio(s, "raw"), asyncio.ensure_future(p.arecv())
            await asyncio.sleep(0)
            await p.asend(b"to us")
            await nngsock.send_aio(s, b"to them", "raw")
            return await ours, await theirs

        assert asyncio.run(main()) == (b"to us", b"to them")
