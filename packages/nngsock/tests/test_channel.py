import pytest

import nngsock
from nngsock import channel
from nngsock.message import from_bytes


@pytest.mark.parametrize("receive", [
    lambda s: nngsock.recv(s, "raw"),
    lambda s: nngsock.recv(s, "raw", block=5000),
    lambda s: nngsock.recv_aio(s, "raw").collect(),
])  # fmt: skip
@pytest.mark.parametrize("protocol", ["pair", "surveyor"])
def test_a_message_that_meets_an_interruption_is_for_the_next_receive(
    monkeypatch, make_socket, receive, protocol
):
    s = make_socket(protocol)
    came = (0, from_bytes(b"kept", 4), KeyboardInterrupt())
    with monkeypatch.context() as patch:
        patch.setattr(channel, "run_and_wait", lambda *_: came)
        with pytest.raises(KeyboardInterrupt):
            nngsock.recv(s, "raw", block=True)
    assert receive(s) == b"kept"
    assert nngsock.recv(s, "raw") in {8, 11}


def test_a_send_that_meets_an_interruption_is_not_sent_twice(monkeypatch, make_socket):
    s = make_socket("push")
    with monkeypatch.context() as patch:
        patch.setattr(channel, "run_and_wait", lambda *args: (20, args[-1], KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            nngsock.send(s, b"stopped", mode="raw", block=True)
    assert nngsock.send(s, b"next", mode="raw") == 8
