import mirai_py
from mirai_py._version import __version__


def test_the_package_tells_its_version():
    assert mirai_py.__version__ == __version__
