import signal
import threading

import pytest

from mirai_py.guard import Guard


def test_an_interrupt_inside_comes_at_the_end():
    guard, steps = Guard(), []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with guard:
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
        steps.append("not reached")
    assert steps == ["went on"]
    with guard:
        pass


def test_the_handler_is_as_before(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    guard = Guard()
    with guard:
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_that_python_does_not_handle_is_left_alone(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Guard():
            assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_is_a_lock_for_all_threads():
    guard, count = Guard(), [0]

    def add():
        for _ in range(2000):
            with guard:
                value = count[0]
                count[0] = value + 1

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    add()
    for thread in threads:
        thread.join()
    assert count == [8000]


def test_an_exception_inside_passes_and_releases():
    guard = Guard()
    with pytest.raises(KeyError), guard:
        raise KeyError
    with guard:
        pass
