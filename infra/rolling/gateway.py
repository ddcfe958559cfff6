"""What stands before processes that are replaced: connections go to those that are ready.

A stand-in for a Service of Kubernetes, which works on connections too: a new one goes to the next
process on the list; one that is open stays with its process until either end closes it. Whoever
is taken off the list gets no new ones. A process that does not listen any more is not hidden from
whoever was sent there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

CHUNK = 65_536


class Gateway:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._behind: list[int] = []
        self._turn = 0
        self._open: set[asyncio.Task[None] | None] = set()
        """What passes connections on; the loop itself would let go of it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"gateway-{port}")
        self._thread.start()
        self._server: asyncio.Server = self._do(
            asyncio.start_server(self._pass, "127.0.0.1", port, backlog=500)
        )

    def add(self, port: int) -> None:
        """Send new connections there, too."""
        self._behind.append(port)

    def remove(self, port: int) -> None:
        """Send no new connections there."""
        self._behind.remove(port)

    def close(self) -> None:
        """Listen no more, and cut off what is open."""

        async def end() -> None:
            self._server.close()
            while left := [task for task in self._open if task]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        there_writer = None
        task = asyncio.current_task()
        self._open.add(task)
        try:
            self._turn += 1
            there = self._behind[self._turn % len(self._behind)]
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", there)
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        except (OSError, ZeroDivisionError):  # nobody is there: the connection is cut off
            return
        except asyncio.CancelledError:  # it is closed
            return
        finally:
            self._open.discard(task)
            for one in (writer, there_writer):
                if one is not None:
                    one.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, and the end of it."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
