import autometric_py
from autometric_py._version import __version__


def test_the_package_tells_its_version():
    assert autometric_py.__version__ == __version__
