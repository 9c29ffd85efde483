import targets_py
from targets_py._version import __version__


def test_the_package_tells_its_version():
    assert targets_py.__version__ == __version__
