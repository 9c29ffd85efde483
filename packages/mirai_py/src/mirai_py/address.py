"""Where in memory a buffer is, which Python itself tells of no read-only one."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

    from mirai_py.frames import Buffer


class _PyBuffer(ctypes.Structure):
    """The Py_buffer of CPython; what follows its first fields does not matter here."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("owner", ctypes.py_object),
        ("length", ctypes.c_ssize_t),
        ("rest", ctypes.c_byte * 128),
    )


def address_of(buffer: Buffer | mmap) -> int:
    """The address of the first byte of a contiguous buffer."""
    info = _PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(buffer), ctypes.byref(info), 0)
    try:
        return info.address or 0
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(info))
