"""What a type checker knows of the public API. `nox -s types` checks this file; it is never run.

Every `type: ignore` is a mistake that has to be found: an unneeded one is an error itself.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from typing import Any, assert_type

import mirai_py
from mirai_py import Mirai, MiraiCluster, MiraiMap, Once


def count(text: str, *, times: int = 1) -> int:
    return len(text) * times


# -- one task: the type of what the callable returns is kept

m = mirai_py.mirai(count, "abc", times=2, _timeout=1000, _compute="gpu")
assert_type(m, Mirai[int])
assert_type(m.result(timeout=1.0), int)
assert_type(m.call(), Mirai[int])
assert_type(m.collect(), int | Any)  # or a failure, without a cast at each use
assert_type(m.data, int | Any)
assert_type(m.future(), Future[int])
assert_type(m.exception(), BaseException | None)
assert_type(m.cancel(), bool)
assert_type(m.id, int | None)
m.add_done_callback(lambda done: print(done.result() + 1))
m.collect().no_such_method()  # type: ignore[union-attr]
m.result().no_such_method()  # type: ignore[attr-defined]
m[0]  # it has no items at run time either, but a better message

assert_type(mirai_py.mirai("1 + x", x=1), Mirai[Any])
assert_type(mirai_py.mirai(mirai_py.once(count), "abc"), Mirai[int])
assert_type(mirai_py.mirai(bytes, 10), Mirai[bytes])
assert_type(mirai_py.try_mirai(count, "abc"), Mirai[int] | None)
mirai_py.mirai()  # type: ignore[call-overload]
mirai_py.mirai(5)  # type: ignore[call-overload]
mirai_py.mirai("x + 1", 5)  # type: ignore[call-overload]
mirai_py.mirai(count, "abc", _timeout="soon")  # type: ignore[call-overload]

truth: Mirai[bool] = mirai_py.mirai(bool, 1)
number: Mirai[int] = truth  # covariant: nobody puts anything into a mirai
plain: Mirai = truth  # needs no parameter


async def awaited() -> None:
    assert_type(await m, int)
    assert_type(await asyncio.wrap_future(m.future()), int)


# -- failures are told apart

value = m.collect()
if mirai_py.is_mirai_error(value):
    assert_type(value.traceback, str)


def shorter(found: int | mirai_py.MiraiError | mirai_py.MiraiInterrupt | mirai_py.ErrorValue) -> None:
    if not mirai_py.is_error_value(found):
        assert_type(found, int)


assert_type(mirai_py.unresolved(m), bool)

# -- many

mapped = mirai_py.mirai_map(["a", "b"], count, times=2, _args={"times": 3}, _promise=print)
assert_type(mapped, MiraiMap[int])
assert_type(mapped[0], Mirai[int])
assert_type(mapped["name"], Mirai[int])
assert_type(mapped[:1], list[Mirai[int]])
assert_type(mapped.call(), MiraiMap[int])
assert_type([one.result() for one in mapped], list[int])
assert_type(mapped.names, list[str] | None)
mapped.collect(flat=True, progress="squares", stop=True)
mirai_py.mirai_map([1], 5)  # type: ignore[arg-type]

assert_type(mirai_py.mirai_imap(["a"], count, _window=2), Iterator[int])
assert_type(mirai_py.everywhere(count, "a", _min=2), MiraiMap[int])
assert_type(mirai_py.everywhere("", a=1), MiraiMap[Any])

assert_type(mirai_py.call_mirai(m), Mirai[int])
assert_type(mirai_py.call_mirai([m]), list[Mirai[int]])
assert_type(mirai_py.collect_mirai(m), int | Any)
assert_type(mirai_py.collect_mirai([m]), list[int | Any])
assert_type(mirai_py.collect_mirai({"a": m}), dict[str, int | Any])
assert_type(mirai_py.race_mirai([m, truth]), int | None)
assert_type(list(mirai_py.as_completed([m])), list[Mirai[int]])
assert_type(list(mirai_py.as_completed(mapped, timeout=1)), list[Mirai[int]])
assert_type(mirai_py.stop_mirai(m), bool)
assert_type(mirai_py.stop_mirai([m, m]), list[bool])
assert_type(mirai_py.stop_mirai(mapped), list[bool])

assert_type(mirai_py.once({"a": 1}), Once[dict[str, int]])
assert_type(mirai_py.once({"a": 1}).value, dict[str, int])
assert_type(mirai_py.share([1]), list[int])

# -- profiles

with mirai_py.daemons(2, url="tcp://127.0.0.1:0", seed=1, compute="gpu", idletime=1000) as pool:
    assert_type(pool, mirai_py.Daemons)
    assert_type(mirai_py.info(), dict[str, int | None] | None)
    assert_type(mirai_py.launch_local(1), int)
    assert_type(mirai_py.status()["connections"], Any)
with mirai_py.with_daemons("gpu"), ExitStack() as stack:
    mirai_py.local_daemons("gpu", stack)


@mirai_py.with_daemons("gpu")
def decorated(x: int) -> str:
    return str(x)


assert_type(decorated(1), str)
mirai_py.daemons("two")  # type: ignore[arg-type]

# -- an executor like any other

cluster = mirai_py.make_cluster(2, initializer=print, initargs=("ready",))
assert_type(cluster, MiraiCluster)
executor: Executor = cluster
assert_type(cluster.submit(count, "abc", times=2), Future[int])
assert_type(list(cluster.map(count, ["abc"], chunksize=2)), list[int])
assert_type(cluster[0], mirai_py.MiraiNode)
cluster.submit(count, 5)  # type: ignore[arg-type]
cluster.submit(count)  # type: ignore[call-arg]
