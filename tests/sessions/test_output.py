"""The output of a session on its way to a client that may be slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import threading
import weakref

import pytest

from console.evaluation.interrupts import AsyncExceptionGuard, StatementToken
from console.sessions.output import SessionOutput
from support.servers import wait_until

CHUNK = 64 * 1024
LIMIT = 1024


class Client:
    """What a session has handed on: (text, is error) pairs."""

    def __init__(self):
        self.got = []

    def deliver(self, text, error):
        self.got.append((text, error))

    @property
    def text(self):
        return "".join(text for text, _ in self.got)


def run(test, limit=1024 * 1024):
    """Run a test on a loop with a client and an output."""

    async def main():
        client = Client()
        output = SessionOutput(asyncio.get_running_loop(), client.deliver, limit)
        async with asyncio.timeout(30):
            await test(client, output)
        output.close()

    asyncio.run(main())


@contextlib.contextmanager
def writing(function):
    """Write from a thread; the thread has ended after the block."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    try:
        yield thread, results
    finally:
        thread.join(30)
    assert not thread.is_alive()


async def blocked(output, limit=LIMIT):
    """Wait until a writer fills the output up to its limit."""
    await asyncio.to_thread(wait_until, lambda: output._size >= limit, "the output is full")


def test_order_is_kept():
    """Both streams arrive in the order of their writes, what belongs together in one piece."""

    async def test(client, output):
        for text, error in [("a", False), ("b", False), ("c", True), ("d", False), ("", False)]:
            assert output.write(text, error=error)
        assert client.got == []
        await output.drained()
        assert client.got == [("ab", False), ("c", True), ("d", False)]

    run(test)


def test_order_is_kept_for_each_thread():
    """What several threads write at once arrives complete, each thread's lines in order."""

    async def test(client, output):
        def write(name):
            for number in range(500):
                output.write(f"{name}{number}\n")

        threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await output.drained()
        for name in "abc":
            numbers = re.findall(rf"^{name}(\d+)$", client.text, re.MULTILINE)
            assert numbers == [str(number) for number in range(500)]

    run(test, LIMIT)


def test_one_chunk_a_turn():
    """A flood is handed on in chunks, one in a turn of the loop, so that others get theirs."""

    async def test(client, output):
        loop = asyncio.get_running_loop()
        turn = 0
        turns = []

        def count():
            nonlocal turn
            turn += 1
            loop.call_soon(count)

        deliver = output._deliver
        output._deliver = lambda text, error: (turns.append(turn), deliver(text, error))
        count()
        output.write("x" * (5 * CHUNK + 1))
        await output.drained()
        assert [len(text) for text, _ in client.got] == [CHUNK] * 5 + [1]
        assert len(set(turns)) == 6

    run(test)


def test_a_burst_is_one_delivery():
    """Many small writes are handed on together."""

    async def test(client, output):
        for _ in range(1000):
            output.write("x")
        await output.drained()
        assert client.got == [("x" * 1000, False)]

    run(test)


def test_ten_megabytes_arrive_complete():
    """Ten megabytes from a thread arrive complete and in order, with a bound that is smaller."""
    text = "".join(f"{number:09d}\n" for number in range(1_000_000))

    async def test(client, output):
        with writing(lambda: output.write(text)) as (thread, results):
            await asyncio.to_thread(thread.join)
        await output.drained()
        assert results == [True]
        assert client.text == text

    run(test, 256 * 1024)


def test_a_thread_waits_for_the_client():
    """A thread that prints more than the client reads waits, and nothing is lost."""

    async def test(client, output):
        output.pause()
        with writing(lambda: [output.write("x" * 99 + "\n") for _ in range(100)]) as (thread, done):
            await blocked(output)
            assert thread.is_alive()
            assert LIMIT <= output._size < LIMIT + 100
            assert client.got == []
            output.resume()
            await asyncio.to_thread(thread.join)
        await output.drained()
        assert done == [[True] * 100]
        assert client.text == ("x" * 99 + "\n") * 100

    run(test, LIMIT)


def test_the_bound_holds_for_one_large_text():
    """One text much larger than the bound does not wait as a whole."""

    async def test(client, output):
        output.pause()
        with writing(lambda: output.write("x" * 10 * CHUNK)) as (thread, _):
            await blocked(output)
            assert output._size <= LIMIT + CHUNK
            output.resume()
            await asyncio.to_thread(thread.join)
        await output.drained()
        assert len(client.text) == 10 * CHUNK

    run(test, LIMIT)


def test_an_interrupted_writer_leaves_it_whole(strays):
    """However often Ctrl-C ends a printing statement, the next output arrives complete."""

    def flood(output):
        while True:
            output.write("flood\n")

    async def test(client, output):
        guard = AsyncExceptionGuard()
        for number in range(60):
            token = StatementToken()
            thread = threading.Thread(target=guard.run, args=(token, flood, output))
            thread.start()
            while thread.is_alive():
                guard.interrupt(token)
                await asyncio.sleep(0.001)
            output.write(f"after {number}\n")
            await output.drained()
            assert client.text.endswith(f"after {number}\n")
            assert output._size == 0
            client.got.clear()

    run(test)


def count_of_dropped(text):
    return sum(map(int, re.findall(r"^\[(\d+) characters of output dropped: ", text, re.MULTILINE)))


def test_a_loop_never_waits():
    """What code on the console's own loop prints beyond the bound is dropped, and counted."""

    async def test(client, output):
        output.pause()
        for _ in range(100):
            assert output.write("x" * 99 + "\n")
        assert output._size < LIMIT + 100
        output.resume()
        await output.drained()
        kept = client.text.count("x" * 99 + "\n")
        assert 0 < kept < 100
        assert kept * 100 + count_of_dropped(client.text) == 100 * 100
        assert client.got[-1][1]

    run(test, LIMIT)


def test_the_hosts_loop_never_waits():
    """What code on a loop in another thread prints beyond the bound is dropped, and counted."""

    async def test(client, output):
        output.pause()

        async def flood():
            return [output.write("x" * 99 + "\n") for _ in range(100)]

        results = await asyncio.to_thread(asyncio.run, flood())
        assert results == [True] * 100
        output.resume()
        await output.drained()
        kept = client.text.count("x" * 99 + "\n")
        assert kept * 100 + count_of_dropped(client.text) == 100 * 100

    run(test, LIMIT)


def test_the_count_stands_where_the_text_is_missing():
    """Text written after some was dropped stands behind the note of it."""

    async def test(client, output):
        output.pause()
        output.write("a" * LIMIT)
        output.write("dropped")
        output.resume()
        await output.drained()
        output.write("after")
        await output.drained()
        assert re.fullmatch(r"a+\n\[7 characters of output dropped: .*\]\nafter", client.text)

    run(test, LIMIT)


def test_nothing_is_handed_on_while_paused():
    """While the client does not read, nothing is handed on, and drained() waits."""

    async def test(client, output):
        output.write("before ")
        output.pause()
        output.write("while")
        drained = asyncio.ensure_future(output.drained())
        for _ in range(10):
            await asyncio.sleep(0)
        assert client.got == []
        assert not drained.done()
        output.resume()
        await drained
        assert client.text == "before while"

    run(test)


def test_drained_of_nothing():
    """With nothing written, drained() returns at once."""

    async def test(client, output):
        output.pause()
        await output.drained()

    run(test)


def test_close_releases_waiting_writers():
    """A thread that waits for the client goes on when the session ends, with the result False."""

    async def test(client, output):
        output.pause()
        with writing(lambda: [output.write("x" * LIMIT) for _ in range(3)]) as (thread, results):
            await blocked(output)
            output.close()
            await asyncio.to_thread(thread.join)
        assert results == [[True, False, False]]
        assert client.got == []

    run(test, LIMIT)


def test_close_releases_drained():
    """Waiting for the output to drain ends with the session."""

    async def test(client, output):
        output.pause()
        output.write("x")
        drained = asyncio.ensure_future(output.drained())
        await asyncio.sleep(0)
        output.close()
        await drained

    run(test)


def test_drained_after_close():
    """After the end there is nothing to wait for, even if output was dropped before."""

    async def test(client, output):
        output.pause()
        output.write("x" * LIMIT)
        output.write("dropped")
        output.close()
        await output.drained()

    run(test, LIMIT)


def test_write_after_close():
    """After the end text is refused, and goes to the host's stream; close() is idempotent."""

    async def test(client, output):
        output.write("too late")
        output.close()
        output.close()
        assert output.write("x") is False
        assert output.write("x", error=True) is False
        output.resume()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert client.got == []

    run(test)


def test_a_closed_output_does_not_block():
    """A reference to a closed output keeps nothing of the session alive."""

    async def test(client, output):
        mine = Client()
        closed = SessionOutput(asyncio.get_running_loop(), mine.deliver)
        closed.write("x")
        reference = weakref.ref(mine)
        closed.close()
        del mine
        gc.collect()
        assert reference() is None

    run(test)


def test_a_closed_loop_is_no_error():
    """A thread that prints when the console's loop is closed already meets no exception."""

    async def make():
        return SessionOutput(asyncio.get_running_loop(), Client().deliver)

    output = asyncio.run(make())
    with writing(lambda: output.write("x")) as (thread, results):
        thread.join()
    assert results == [True]


@pytest.mark.parametrize("error", [False, True])
def test_the_stream_is_told(error):
    """Each text is handed on with the stream that it was written to."""

    async def test(client, output):
        output.write("x", error=error)
        await output.drained()
        assert client.got == [("x", error)]

    run(test)
