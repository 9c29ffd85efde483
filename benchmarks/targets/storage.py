"""What storing and hashing cost per target, in microseconds of processor time.

`python storage.py [targets]`

The parts of a run that do not depend on the graph: reading the metadata, checking the objects of targets that
are up to date, hashing and writing small values, appending records. The last two lines add up what a target
that is skipped and one that is built need of these, and compare with what a whole run may need for each.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from targets_py.hashing.code import Code
from targets_py.hashing.value import hash_value
from targets_py.storage.lock import StoreLock
from targets_py.storage.metadata import Metadata, Progress, ProgressRow
from targets_py.storage.records import Record, decode, encode
from targets_py.storage.store import Store

TOTALS = {"skip": 0.0, "build": 0.0}
ALLOWED = {"skip": 50.0, "build": 300.0}  # of a whole run, per target


class Report:
    def __init__(self, count):
        self.count = count
        self.start = 0.0

    def __enter__(self):
        self.start = time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds = time.process_time() - self.start

    def show(self, what, of=()):
        """Print a line; `of` names the totals that it is part of."""
        cost = self.seconds / self.count * 1e6
        for total in of:
            TOTALS[total] += cost
        print(f"{what:44} {cost:8.2f} us")


def functions(count):
    """Source of helpers that call each other, five lines each."""
    return "\n".join(
        f"def f{i}(x, y=1):\n    total = [a + {i} for a in range(x)]\n    if total:\n"
        f"        return f{max(i - 1, 0)}(len(total), y)\n    return y\n"
        for i in range(count)
    )


def bare_write(scratch, path):
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT, 0o666)
    os.write(descriptor, b"12345")
    os.fstat(descriptor)
    os.close(descriptor)
    os.replace(scratch, path)  # noqa: PTH105 - as the product does it


def main(count):
    print(f"{count} targets; per target")
    names = [f"branch_{i:016x}" for i in range(count)]
    watch = Report(count)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "_targets")
        store.create()
        with StoreLock(store):
            metadata = Metadata.load(store)
            metadata.open()
            progress = Progress(store)
            with watch:
                hashes = [hash_value(i) for i in range(count)]
            watch.show("hash a small value", of=["build"])
            for name in names:  # the file system's first files take ten times as long
                bare_write(f"{store.scratch}/{name}", f"{store.path}/user/{name}")
            with watch:
                files = [store.write(name, "pickle", i) for i, name in enumerate(names)]
            watch.show("write, rename, stat a small pickle", of=["build"])
            with watch:
                for name in names:
                    bare_write(f"{store.scratch}/{name}", f"{store.path}/user/{name}")
            watch.show("  the system calls of that alone")
            records = [
                Record(
                    name, "branch", data, "0123456789abcdef", "fedcba9876543210", 1 << 60, None, file.time,
                    file.size, 8, "pickle", "local", "vector", "branch", None, 0.001, None, None,
                    file.file_hash,
                )
                for name, data, file in zip(names, hashes, files, strict=True)
            ]  # fmt: skip
            with watch:
                for record in records:
                    metadata.record(record)
            watch.show("append a record", of=["build"])
            with watch:
                for record in records:
                    progress.record(ProgressRow(record.name, "branch", "branch", 0, "completed"))
            watch.show("append a progress row", of=["build"])
            with watch:
                for record in records:
                    progress.record(ProgressRow(record.name, "branch", "branch", 0, "skipped"))
            watch.show("append the progress row of a skipped target", of=["skip"])
            progress.close()
            metadata.close()
        with watch:
            again = Metadata.load(store)
        watch.show("read a record", of=["skip"])
        assert again.records == metadata.records
        fresh = Store(store.path)
        with watch:
            fresh.scan()
        watch.show("list an object", of=["skip"])
        with watch:
            assert all(fresh.check(record) is record for record in again.records.values())
        watch.show("check an object", of=["skip"])
        with watch:
            assert [fresh.read(record) for record in again.records.values()] == list(range(count))
        watch.show("read a small pickle")
        with watch:
            lines = list(map(encode, records))
        watch.show("encode a record")
        with watch:
            assert [decode(line.split("|")) for line in lines] == records
        watch.show("decode a record")
    source = functions(1000)
    namespace = {"__name__": "_targets"}
    exec(compile(source, "script.py", "exec"), namespace)
    code = Code(namespace, Path.cwd(), sources={"script.py": source})
    lines = Report(source.count("\n"))
    with lines:
        code.global_hash("f999")
    lines.show("hash a line of a function")
    for total, cost in TOTALS.items():
        print(f"all that a {total} needs of these {cost:19.2f} us of {ALLOWED[total]:.0f} us")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
