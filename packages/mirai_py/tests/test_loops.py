import asyncio

from mirai_py.handles import Mirai
from mirai_py.loops import LoopWaker


def test_many_results_wake_a_loop_once_until_it_looks():
    async def main():
        loop = asyncio.get_running_loop()
        waker = LoopWaker.of(loop)
        calls = []
        call = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args: (calls.append(1), call(*args))[1]
        mirais = [Mirai() for _ in range(100)]
        futures = [asyncio.ensure_future(_await(m)) for m in mirais]
        await asyncio.sleep(0)
        for m in mirais:
            m._resolve_value(1)
        assert await asyncio.gather(*futures) == [1] * 100
        assert len(calls) == 1
        assert LoopWaker.of(loop) is waker

    asyncio.run(main())


def test_a_result_for_a_closed_loop_is_no_error_and_closed_loops_are_forgotten():
    m = Mirai()

    async def main():
        asyncio.ensure_future(_await(m))  # noqa: RUF006
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    waker = LoopWaker.of(loop)
    wake = waker.wake_for(loop.create_future())
    loop.close()
    wake()
    other = asyncio.new_event_loop()
    LoopWaker.of(other)
    assert loop not in LoopWaker._of
    other.close()
    asyncio.run(main())


async def _await(m):
    return await m
