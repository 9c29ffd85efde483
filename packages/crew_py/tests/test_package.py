import subprocess
import sys

import crew_py


def test_everything_that_is_exported_exists_and_is_documented():
    assert isinstance(crew_py.__all__, tuple)
    assert list(crew_py.__all__) == sorted(set(crew_py.__all__))
    for name in crew_py.__all__:
        found = getattr(crew_py, name)
        assert name == "__version__" or found.__doc__


def test_names_of_the_originals_classes_are_aliases():
    for name in crew_py.__all__:
        if name.startswith("crew_class_"):
            maker = getattr(crew_py, name.replace("_class", ""))
            assert getattr(crew_py, name) is maker


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"polars", "numpy", "rich", "psutil", "autometric_py", "pandas"}
    source = f"import sys, crew_py; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
