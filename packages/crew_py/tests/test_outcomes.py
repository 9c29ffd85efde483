import pytest

import mirai_py
import nngsock
from crew_py.monad import FIELDS
from crew_py.outcomes import conclude, describe_crash
from crew_py.tasks import Task

TASK = Task("task", None, pow, ("base", "exp"), 5, "PCG64", 0)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (5, "error", "5 | Timed out"),
        (19, "crash", "19 | Connection reset"),
        (20, "cancel", "20 | Operation canceled"),
        (7, "error", "7 | Object closed"),
    ],
)
def test_error_values_become_rows(code, status, error):
    monad = conclude(TASK, nngsock.ErrorValue(code), "main")
    assert tuple(monad) == FIELDS
    assert (monad["status"], monad["code"], monad["error"]) == (status, code, error)
    assert (monad["name"], monad["command"], monad["controller"]) == ("task", "pow(base, exp)", "main")
    assert (monad["seed"], monad["algorithm"]) == (5, "PCG64")
    assert monad["result"] is monad["seconds"] is monad["warnings"] is None


def test_an_error_outside_the_evaluation_is_an_error_row():
    monad = conclude(TASK, mirai_py.MiraiError("no module", ("ModuleNotFoundError",)), "main")
    assert (monad["status"], monad["code"], monad["error"]) == ("error", -1, "no module")
    assert "ModuleNotFoundError: no module" in monad["trace"]


def test_an_interrupt_is_an_error_row():
    monad = conclude(TASK, mirai_py.MiraiInterrupt(), "main")
    assert (monad["status"], monad["code"]) == ("error", -1)
    assert "interrupted" in monad["error"]


def test_a_record_is_passed_on():
    record = {"name": "task"}
    assert conclude(TASK, record, "main") is record


def test_a_crash_is_described_by_what_is_known():
    assert describe_crash(nngsock.ErrorValue(19), None) is None
    detail = {"pid": 7, "host": "node", "signal": None}
    assert describe_crash(nngsock.ErrorValue(19, detail), None) == "worker: pid 7, host node"
