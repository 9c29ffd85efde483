"""The sampler's beat and cost, and the reader's speed, beside psrecord and mprof: `python run.py [seconds]`.

1. The beat at 0.1 s while the measured process keeps the interpreter's lock in C for seconds at a time, for
   60 s unless told otherwise: samples that are missing, and how far the others are from an even grid.
2. What following costs at 1 s: share of a core and resident memory of the recorder.
3. How long log_start takes, how long log_phase_set, and whether a loop is slower while it is logged.
4. Reading 1,000,000 lines; R's autometric reads 100,000 in 0.73 s.

Figures of the beat mean something only while a second core is idle.
"""

import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import autometric_py as a

INTERVAL = 0.1
R_SECONDS_PER_LINE = 0.73 / 100_000
BIN = Path(sys.executable).parent

# Sorting this many floats keeps the lock for about five seconds.
HOLDER = """
import random, sys, time
import autometric_py as a
end, mode, path = time.monotonic() + float(sys.argv[1]), sys.argv[2], sys.argv[3]
numbers = [random.random() for _ in range(10_000_000)]
if mode != "none":
    a.log_start(path, seconds=0.1, mode=mode)
while time.monotonic() < end:
    sorted(numbers)
"""


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("holder.py").write_text(HOLDER)
        beat(seconds)
        cost(min(seconds, 20.0))
        calls()
        reading()


def beat(seconds):
    print(f"beat at {INTERVAL} s, the lock held in C, {seconds:g} s each:")
    recorders = {
        "autometric_py": lambda: logged(seconds, "process"),
        "autometric_py, mode='thread'": lambda: logged(seconds, "thread"),
        "psrecord": lambda: psrecord(seconds),
        "mprof": lambda: mprof(seconds),
    }
    for name, recorder in recorders.items():
        times = sorted(recorder())
        expected = (times[-1] - times[0]) / INTERVAL + 1
        # A recorder that drifts is judged on its own best grid.
        offsets = [(time - times[0] + INTERVAL / 2) % INTERVAL - INTERVAL / 2 for time in times]
        middle = statistics.median(offsets)
        jitter = sorted(abs(offset - middle) for offset in offsets)[int(0.99 * (len(offsets) - 1))]
        longest = max(after - before for before, after in itertools.pairwise(times))
        print(
            f"  {name:<30}{len(times):>5} of {expected:.0f} samples, longest gap {longest:6.3f} s, "
            f"99% within {1000 * jitter:5.1f} ms of the grid"
        )


def logged(seconds, mode):
    subprocess.run([sys.executable, "holder.py", str(seconds), mode, f"{mode}.log"], check=True)
    return a.log_read(f"{mode}.log")["time"].to_list()


def psrecord(seconds):
    with subprocess.Popen([sys.executable, "holder.py", str(seconds), "none", "-"]) as process:
        command = [BIN / "psrecord", str(process.pid), "--interval", str(INTERVAL), "--log", "psrecord.log"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = Path("psrecord.log").read_text().splitlines()[1:]
    return [float(line.split()[0]) for line in lines]


def mprof(seconds):
    command = [BIN / "mprof", "run", "--interval", str(INTERVAL), "--nopython", "--output", "mprof.dat"]
    command += [sys.executable, "holder.py", str(seconds), "none", "-"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lines = Path("mprof.dat").read_text().splitlines()
    return [float(line.split()[2]) for line in lines if line.startswith("MEM")]


def cost(seconds):
    print(f"cost at 1 s, over {seconds:g} s:")
    sleepers = [subprocess.Popen(["sleep", "600"]) for _ in range(10)]
    try:
        log = a.log_start("cost.log", seconds=1, pids=[sleeper.pid for sleeper in sleepers])
        report("autometric_py, 10 pids", psutil.Process(log.sampler_pid), seconds)
        a.log_stop()
        pid = str(sleepers[0].pid)
        for name, words in {
            "psrecord, 1 pid": [BIN / "psrecord", pid, "--interval", "1", "--log", "cost.txt"],
            "mprof, 1 pid": [BIN / "mprof", "run", "--interval", "1", "--attach", pid],
        }.items():
            with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
                time.sleep(3)  # until it is up: its start shall not count
                report(name, psutil.Process(process.pid), seconds)
                process.send_signal(signal.SIGKILL)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def report(name, process, seconds):
    before = process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    memory = process.memory_full_info()
    print(
        f"  {name:<30}{100 * used / seconds:6.2f} % of a core, {memory.rss / 1e6:5.1f} MB resident, "
        f"{memory.uss / 1e6:5.1f} MB of its own"
    )


def calls():
    def start():
        began = time.perf_counter()
        a.log_start("calls.log", seconds=1)
        elapsed = time.perf_counter() - began
        a.log_stop()
        return elapsed

    starts = [start() for _ in range(20)]
    print(f"log_start: {1000 * statistics.median(starts):.0f} ms, the slowest {1000 * max(starts):.0f} ms")
    began = time.perf_counter()
    for _ in range(100_000):
        a.log_phase_set("a phase of usual length")
    print(f"log_phase_set: {(time.perf_counter() - began) * 10:.2f} us")

    def loop():
        began = time.perf_counter()
        for _ in range(20_000_000):
            pass
        return time.perf_counter() - began

    plain, beside = [], {0.1: [], 0.001: []}
    for _ in range(5):
        plain.append(loop())
        for seconds, times in beside.items():
            with a.log_start("calls.log", seconds=seconds):
                times.append(loop())
    for seconds, times in beside.items():
        ratio = statistics.median(times) / statistics.median(plain)
        print(f"a loop that is logged every {seconds:g} s takes {ratio:.3f} times as long")


def reading():
    line = "__AUTOMETRIC__|0.1.0|{}|main{}|0|{:.3f}|{:.3f}|{:.3f}|{}|{}|phase {}|__AUTOMETRIC__\n"
    with Path("large.log").open("w") as file:
        for i in range(1_000_000):
            cpu = 80 + i % 20 + i % 1000 / 1000
            values = (20_000 + i % 20, i % 20, 1.7e9 + i / 20, cpu, cpu / 8, 67_760_128 + i, 197_591_040 + i)
            file.write(line.format(*values, i // 1000 % 7))
    mixed = (
        Path("large.log").read_text().replace("phase 3|__AUTOMETRIC__\n", "phase 3|__AUTOMETRIC__\nother\n")
    )
    Path("mixed.log").write_text(mixed)
    for name in ("large.log", "mixed.log"):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            rows = len(a.log_read(name))
            times.append(time.perf_counter() - began)
        best = min(times)
        print(
            f"log_read, 1,000,000 lines of {name}: {best:.2f} s, "
            f"{R_SECONDS_PER_LINE * rows / best:.1f} times as fast as the original"
        )


if __name__ == "__main__":
    main()
