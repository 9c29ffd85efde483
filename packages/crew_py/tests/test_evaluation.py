import functools
import os
import sys
import warnings
from pathlib import Path

import pytest

import __main__
import crew_py
from crew_py.monad import FIELDS


def by_value(source, name="f"):
    """A function as it looks after travelling by value: with globals of its own."""
    namespace = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace[name]


def run(command, data=None, **settings):
    return crew_py.crew_eval(command, "task", data, **settings)


# -- outcomes


def test_success_fills_the_twelve_fields_in_order():
    monad = run(pow, {"base": 2, "exp": 5}, seed=7)
    assert tuple(monad) == FIELDS
    assert monad["name"] == "task"
    assert monad["command"] == "pow(base, exp)"
    assert monad["result"] == 32
    assert (monad["status"], monad["code"]) == ("success", 0)
    assert monad["error"] is monad["trace"] is monad["warnings"] is monad["algorithm"] is None
    assert monad["seconds"] >= 0
    assert monad["seed"] == 7


def test_none_is_an_ordinary_result():
    assert run(lambda: None)["status"] == "success"


def test_source_sees_data_as_names():
    monad = run("a + sum(b * i for i in range(3))", {"a": 1, "b": 2})
    assert monad["result"] == 7
    assert monad["command"] == "a + sum(b * i for i in range(3))"


def test_the_controller_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("CREW_CONTROLLER", "main")
    assert run(lambda: 1)["controller"] == "main"


def test_an_exception_becomes_an_error_row(capfd):
    def inner():
        raise ValueError("zap")

    def outer():
        inner()

    monad = run(outer)
    assert (monad["status"], monad["code"], monad["error"]) == ("error", -1, "zap")
    assert monad["result"] is None
    assert "in outer" in monad["trace"]
    assert "in inner" in monad["trace"]
    assert "crew_eval" not in monad["trace"]
    assert "Error: zap" in capfd.readouterr().err


def test_an_exception_without_text_is_named_by_its_class():
    assert run("raise KeyError()")["error"] == "KeyError"


def test_long_errors_keep_their_beginning_and_long_traces_their_end():
    monad = run("raise ValueError('a' * 5000 + 'z')")
    assert monad["error"] == "a" * 2048
    assert len(monad["trace"]) == 2048
    assert monad["trace"].rstrip().endswith("z")


def test_an_exception_whose_text_cannot_be_made_is_an_error_row():
    class BadError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise BadError

    monad = run(fail)
    assert monad["status"] == "error"
    assert "encoding" in monad["error"]


def test_text_with_lone_surrogates_is_replaced():
    def f():
        warnings.warn("\ud800", stacklevel=1)
        raise ValueError("\udfff")

    monad = run(f)
    assert "encoding" in monad["error"]
    assert "encoding" in monad["warnings"]
    monad["trace"].encode()


def test_system_exit_is_an_error_row():
    monad = run("import sys; sys.exit(3)")
    assert (monad["status"], monad["error"]) == ("error", "3")


def test_keyboard_interrupt_is_left_to_the_caller_and_everything_is_restored():
    def f():
        __main__.left_behind = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(f, globals={"another": 2})
    assert not hasattr(__main__, "left_behind")
    assert not hasattr(__main__, "another")


def test_syntax_errors_in_source_are_error_rows():
    monad = run("x +")
    assert monad["status"] == "error"
    assert "SyntaxError" in monad["trace"]


# -- warnings


def test_warnings_are_joined_and_never_abort(capfd):
    def f():
        for text in ("w1", "w2", "w2"):
            warnings.warn(text, stacklevel=1)
        return 1

    monad = run(f)
    assert (monad["status"], monad["result"]) == ("success", 1)
    assert monad["warnings"] == "w1. w2. w2"
    assert "Warning: w1" in capfd.readouterr().err


def test_only_the_first_50_warnings_and_2048_characters_are_kept():
    def f(n, text):
        for _ in range(n):
            warnings.warn(text, stacklevel=1)

    assert run(f, {"n": 60, "text": "w"})["warnings"].count("w") == 50
    assert len(run(f, {"n": 50, "text": "w" * 100})["warnings"]) == 2048


def test_warnings_before_an_error_are_kept():
    def f():
        warnings.warn("w", stacklevel=1)
        raise ValueError("e")

    monad = run(f)
    assert (monad["warnings"], monad["error"]) == ("w", "e")


# -- names


def test_globals_are_seen_in_main_and_in_functions_sent_by_value():
    assert run("g + 1", globals={"g": 1})["result"] == 2
    assert run(by_value("def f(): return g + 1"), globals={"g": 1})["result"] == 2
    assert run(lambda: __main__.g, globals={"g": 3})["result"] == 3


def test_globals_are_seen_by_functions_among_the_data():
    helper = by_value("def f(): return g + 1")
    assert run("h()", {"h": helper}, globals={"g": 1})["result"] == 2
    assert run(lambda h: h(), {"h": functools.partial(helper)}, globals={"g": 5})["result"] == 6


def test_globals_leave_nothing_behind_in_a_function():
    f = by_value("def f(): return g")
    f.__globals__["g"] = "own"
    assert run(f, globals={"g": "given", "h": 1})["result"] == "given"
    assert f.__globals__["g"] == "own"
    assert "h" not in f.__globals__


def test_globals_do_not_touch_an_importable_module():
    run(os.path.join, {"a": "x"}, globals={"sep": "changed"})
    assert os.path.sep != "changed"


def test_reset_globals_removes_new_names_and_restores_old_ones(monkeypatch):
    monkeypatch.setattr(__main__, "old", 1, raising=False)

    def f():
        __main__.new = 1
        __main__.old = 2
        del __main__.__doc__

    assert run(f)["status"] == "success"
    assert not hasattr(__main__, "new")
    assert __main__.old == 1
    assert "__doc__" in vars(__main__)


def test_without_reset_globals_names_stay_but_arguments_do_not(monkeypatch):
    monkeypatch.setattr(__main__, "kept", None, raising=False)
    monkeypatch.setattr(__main__, "x", "main's", raising=False)
    run("kept = x; x = 6", {"x": 5}, reset_globals=False)
    assert __main__.kept == 5
    assert __main__.x == "main's"


def test_a_function_made_by_source_still_works_afterwards():
    assert run("def f(): return x\nf", {"x": 4})["result"]() == 4


# -- packages and options


def test_packages_are_imported_and_bound():
    assert run("json.dumps([1])", packages=["json"])["result"] == "[1]"
    assert run("os.path.basename('a/b')", packages=["os.path"])["result"] == "b"


def test_a_missing_package_is_named_and_the_task_does_not_run(tmp_path):
    mark = tmp_path / "ran"
    monad = run(mark.touch, packages=["no_such_package"])
    assert (monad["status"], monad["code"]) == ("error", -1)
    assert "no_such_package" in monad["error"]
    assert monad["command"] is not None
    assert not mark.exists()


def test_library_is_on_the_path_while_importing_only(tmp_path):
    (tmp_path / "crew_py_test_package.py").write_text("value = 3")
    before = list(sys.path)
    monad = run(
        lambda: sys.path[0],
        packages=["crew_py_test_package"],
        library=str(tmp_path),
    )
    assert sys.modules.pop("crew_py_test_package").value == 3
    assert monad["result"] == before[0]
    assert sys.path == before


def test_reset_packages_restores_the_path_even_after_an_error():
    before = list(sys.path)
    run("import sys; sys.path.append('x'); 1 / 0", reset_packages=True)
    assert sys.path == before


def test_reset_options_restores_environment_folder_and_filters(tmp_path, monkeypatch):
    monkeypatch.setenv("CREW_PY_TEST_OLD", "old")
    folder, filters = Path.cwd(), list(warnings.filters)

    def f():
        os.environ["CREW_PY_TEST_NEW"] = "1"
        del os.environ["CREW_PY_TEST_OLD"]
        os.chdir(tmp_path)
        warnings.simplefilter("ignore")
        1 / 0  # noqa: B018

    assert run(f, reset_options=True)["status"] == "error"
    assert "CREW_PY_TEST_NEW" not in os.environ
    assert os.environ["CREW_PY_TEST_OLD"] == "old"
    assert Path.cwd() == folder
    assert warnings.filters == filters


def test_without_reset_options_changes_stay(monkeypatch):
    monkeypatch.setenv("CREW_PY_TEST", "old")
    with warnings.catch_warnings():
        run("import os; os.environ['CREW_PY_TEST'] = 'new'")
        run(lambda: warnings.filterwarnings("ignore", "told apart"))
        assert os.environ["CREW_PY_TEST"] == "new"
        assert sum("told apart" in str(item) for item in warnings.filters) == 1


def test_garbage_is_collected_when_asked_for():
    class Loop:
        pass

    gone = []

    def f():
        import weakref

        loop = Loop()
        loop.self = loop
        weakref.finalize(loop, gone.append, 1)

    run(f, garbage_collection=True)
    assert gone == [1]
