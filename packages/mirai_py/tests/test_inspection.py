import pytest

import mirai_py
import nngsock
from mirai_py import daemons, mirai, status


def test_status_of_a_profile_and_of_none(one):
    found = status(one)
    assert found["connections"] == 1
    assert set(found["mirai"]) == {"awaiting", "executing", "completed"}
    assert found["daemons"] == mirai_py.nextget("url", compute=one)
    assert status("nobody") == {"connections": 0, "daemons": 0}


def test_nextget_gives_what_other_programs_need(fresh):
    daemons(url=mirai_py.local_url(), seed=1, compute=fresh)
    assert list(mirai_py.nextget("env", compute=fresh)) == ["MIRAI_PY_TOKEN"]
    assert mirai_py.nextget("dispatcher", compute=fresh) is True
    assert mirai_py.nextget("tls", compute=fresh) is None
    assert mirai_py.nextget("stream", compute=fresh) == (1, 0)
    assert mirai_py.nextstream(fresh) == (1, 0)
    assert mirai_py.nextstream(fresh) == (1, 1)
    assert mirai_py.nextget("url", compute="nobody") is None
    assert mirai_py.nextstream("nobody") is None


def test_the_condition_variable_is_signalled_once_for_each_resolved_mirai(fresh):
    daemons(1, compute=fresh)
    cv = mirai_py.nextget("cv", compute=fresh)
    assert mirai_py.nextget("cv", compute=fresh) is cv
    for m in [mirai(abs, i, _compute=fresh) for i in range(5)]:
        m.call()
    assert nngsock.cv_value(cv) == 5
    stopped = mirai("import time; time.sleep(60)", _compute=fresh)
    stopped.cancel()
    assert nngsock.cv_value(cv) == 6


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "0 | Daemon connection terminated"),
        (1, "1 | Daemon idletime limit reached"),
        (2, "2 | Daemon walltime limit reached"),
        (3, "3 | Daemon task limit reached"),
        (9, "9 | Daemon unknown"),
    ],
)
def test_exit_codes_have_words(code, text):
    assert mirai_py.nextcode(code) == text
