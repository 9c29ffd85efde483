"""Figures of NVIDIA GPUs, from NVML; loaded by the sampler when they are asked for."""

from __future__ import annotations

import contextlib
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import psutil

# NVML tells of all processes at once: those of one beat are served by one question.
FRESH_SECONDS = 0.02


class Gpu:
    """What the processes use on all GPUs of the machine together.

    Raises:
        pynvml.NVMLError: There is no driver, or it does not answer.
    """

    def __init__(self) -> None:
        import pynvml

        self._nvml = pynvml
        pynvml.nvmlInit()
        self._devices = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        self._seen = [0] * len(self._devices)
        self._memory: dict[int, int] = {}
        self._utilisation: dict[int, float] = {}
        self._asked = float("-inf")

    def __repr__(self) -> str:
        return f"<Gpu {len(self._devices)} devices>"

    def memory(self, pid: int) -> int:
        """Bytes that a process holds."""
        self._refresh()
        return self._memory.get(pid, 0)

    def utilisation(self, pid: int) -> float:
        """Percent of the time that a process kept the cores of a GPU busy; 200 is two whole GPUs."""
        self._refresh()
        return self._utilisation.get(pid, 0.0)

    def _refresh(self) -> None:
        if time.monotonic() - self._asked < FRESH_SECONDS:
            return
        self._memory, self._utilisation = {}, {}
        for index, device in enumerate(self._devices):
            # What a GPU cannot tell (older models tell nothing by process) counts as no use.
            with contextlib.suppress(self._nvml.NVMLError):
                self._add_memory(device)
            with contextlib.suppress(self._nvml.NVMLError):
                self._add_utilisation(index, device)
        self._asked = time.monotonic()

    def _add_memory(self, device: Any) -> None:
        for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(device):
            used = process.usedGpuMemory or 0
            self._memory[process.pid] = self._memory.get(process.pid, 0) + used

    def _add_utilisation(self, index: int, device: Any) -> None:
        """The mean of the driver's samples since the last look."""
        values: dict[int, list[float]] = {}
        for sample in self._nvml.nvmlDeviceGetProcessUtilization(device, self._seen[index]):
            values.setdefault(sample.pid, []).append(float(sample.smUtil))
            self._seen[index] = max(self._seen[index], sample.timeStamp)
        for pid, shares in values.items():
            self._utilisation[pid] = self._utilisation.get(pid, 0.0) + sum(shares) / len(shares)


def gpu_readers() -> dict[str, Callable[[psutil.Process], float | None]]:
    """How to read the columns of the GPU."""
    gpu = Gpu()
    return {
        "gpu": lambda process: gpu.utilisation(process.pid),
        "gpu_memory": lambda process: gpu.memory(process.pid),
    }
