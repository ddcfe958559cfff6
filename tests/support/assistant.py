"""An assistant: the client of the Model Context Protocol, connected to `smallprint mcp`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, Tool

from infra.servers.ports import free_port
from tests.support import ROOT

COMMAND = [sys.executable, "-m", "services.cli", "mcp"]
Mode = Literal["auto", "legacy"]
"""`legacy` is the handshake of the protocol before 2026."""


class ToolRefused(Exception):
    """The tool answered with an error."""


class Assistant:
    """A connected client, used from synchronous code."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self._client = client

    @property
    def instructions(self) -> str | None:
        """What the server says to every assistant."""
        return self._client.instructions

    def tools(self) -> dict[str, Tool]:
        """The tools by name."""
        return {one.name: one for one in self._portal.call(self._client.list_tools).tools}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a tool. Raises ToolRefused with its text."""
        answer = self._portal.call(partial(self._client.call_tool, tool, arguments))
        (content,) = answer.content
        assert isinstance(content, TextContent)
        if answer.is_error:
            raise ToolRefused(content.text)
        assert answer.structured_content is not None
        return dict(answer.structured_content)

    def all(self, tool: str, items: str, **arguments: Any) -> list[list[dict[str, Any]]]:
        """The items of all answers of a tool, followed by cursors."""
        answers: list[list[dict[str, Any]]] = []
        cursor = None
        while cursor is not None or not answers:
            answer = self.call(tool, **arguments, cursor=cursor)
            answers.append(answer[items])
            cursor = answer.get("next_cursor")
        return answers


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command with these settings only."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("SMALLPRINT_")}
    return {**others, **settings}


@contextmanager
def over_stdio(*options: object, mode: Mode = "auto", **settings: str) -> Iterator[Assistant]:
    """An assistant that starts `smallprint mcp` with these options and settings."""
    command, *arguments = [*COMMAND, *map(str, options)]
    server = StdioServerParameters(
        command=command, args=arguments, env=environment(settings), cwd=ROOT
    )
    with start_blocking_portal() as portal:
        client = Client(server, mode=mode)
        with portal.wrap_async_context_manager(client):
            yield Assistant(portal, client)


@contextmanager
def over_http(url: str, key: str, mode: Mode = "auto") -> Iterator[Assistant]:
    """An assistant that connects to a served address with its key."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        http = httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"})
        stack.enter_context(portal.wrap_async_context_manager(http))
        client = Client(streamable_http_client(url, http_client=http), mode=mode)
        stack.enter_context(portal.wrap_async_context_manager(client))
        yield Assistant(portal, client)


@contextmanager
def served_over_http(data: Path) -> Iterator[str]:
    """The address of `smallprint mcp --http` for the suite of a data folder."""
    command = [*COMMAND, "--http", "--port", str(free_port()), "--data", str(data)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        yield next(word for word in words if word.startswith("http://"))
    finally:
        process.terminate()
        process.communicate(timeout=60)
