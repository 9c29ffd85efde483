import crew_py
from crew_py._version import __version__


def test_the_package_tells_its_version():
    assert crew_py.__version__ == __version__
