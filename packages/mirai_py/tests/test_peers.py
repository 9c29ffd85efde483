from mirai_py.codes import code_of
from mirai_py.dispatch import peers
from mirai_py.dispatch.peers import Peer


def test_a_daemon_lacks_a_code_once():
    peer = Peer(1, b"")
    assert peer.lacks(code_of(abs))
    assert not peer.lacks(code_of(abs))


def test_what_is_known_of_it_stays_bounded(monkeypatch):
    monkeypatch.setattr(peers, "_MAX_KNOWN", 3)
    peer = Peer(1, b"")
    for i in range(10):
        assert peer.lacks(code_of(str(i)))
    assert len(peer.known) <= 3
