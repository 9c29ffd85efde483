from dataclasses import replace

import pytest

from mirai_py import handshake

NONCE, OTHER = b"a" * handshake.NONCE_SIZE, b"b" * handshake.NONCE_SIZE


def frame(parts):
    return b"".join(parts)


def test_both_sides_accept_each_other_with_the_same_token():
    challenge = frame(handshake.challenge(NONCE))
    hello = frame(handshake.hello("token", challenge, OTHER, handshake.identity()))
    who, nonce, refusal = handshake.check_hello(hello, "token", NONCE)
    assert (who, nonce, refusal) == (handshake.identity(), OTHER, "")
    init = frame(handshake.init("token", nonce, b"settings"))
    assert handshake.check_init(init, "token", OTHER) == b"settings"


def test_another_token_or_an_answer_to_another_challenge_is_refused():
    hello = frame(handshake.hello("token", frame(handshake.challenge(NONCE)), OTHER, handshake.identity()))
    assert handshake.check_hello(hello, "wrong", NONCE)[2].startswith("the token is wrong")
    assert handshake.check_hello(hello, "token", OTHER)[0] is None
    init = frame(handshake.init("token", OTHER, b"settings"))
    assert handshake.check_init(init, "wrong", OTHER) is None
    assert handshake.check_init(init, "token", NONCE) is None


@pytest.mark.parametrize("length", [0, 12, 30, 44])
def test_a_short_introduction_is_refused(length):
    hello = frame(handshake.hello("token", frame(handshake.challenge(NONCE)), OTHER, handshake.identity()))
    assert handshake.check_hello(hello[:length], "token", NONCE)[2]


def test_the_token_does_not_travel():
    challenge = frame(handshake.challenge(NONCE))
    hello = frame(handshake.hello("secret-token", challenge, OTHER, handshake.identity()))
    init = frame(handshake.init("secret-token", OTHER, b""))
    assert b"secret-token" not in challenge + hello + init


def test_versions_must_agree():
    who = replace(handshake.identity(), python="3.1")
    hello = frame(handshake.hello("t", frame(handshake.challenge(NONCE)), OTHER, who))
    assert "the daemon runs Python 3.1" in handshake.check_hello(hello, "t", NONCE)[2]


def test_tokens_are_new_each_time_unless_the_environment_has_one(monkeypatch):
    monkeypatch.delenv(handshake.TOKEN_VARIABLE, raising=False)
    assert handshake.new_token() != handshake.new_token()
    assert len(handshake.new_token()) == 32
    monkeypatch.setenv(handshake.TOKEN_VARIABLE, "mine")
    assert handshake.new_token() == "mine"
