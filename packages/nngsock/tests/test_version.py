import nngsock
from nngsock._version import __version__


def test_the_package_tells_its_version():
    assert nngsock.__version__ == __version__
