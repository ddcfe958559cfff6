"""Builders for tests of the command: a suite behind it, its output, its data folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import smallprint
from click.testing import CliRunner, Result

from services.cli import cli
from services.cli.deployment.stores import migrations
from shared.storage import Store
from shared.web.app import problem

Run = Callable[..., tuple[int, str, str]]


def invoke(*arguments: object, stdin: bytes = b"") -> Result:
    """Run the command in this process; errors are in the result."""
    return CliRunner().invoke(cli, [*map(str, arguments)], input=stdin, standalone_mode=False)


def calibrate(data: Path, *options: object, act: str = "try") -> dict[str, Any]:
    """The JSON line of `smallprint calibrate`. Raises its error."""
    (line,) = lines(calibrate_rows(data, *options, "--json", act=act))
    return line


def calibrate_rows(data: Path, *options: object, act: str = "try") -> str:
    """The output of `smallprint calibrate`. Raises its error."""
    done = invoke("calibrate", act, *options, "--data", data)
    if done.exception:
        raise done.exception
    return done.stdout


def lines(out: str) -> list[dict[str, Any]]:
    """The JSON lines of a command."""
    return [json.loads(line) for line in out.splitlines()]


def words(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def refusal(status: int, code: str, detail: str) -> httpx.Response:
    """A problem, as a suite answers it."""
    answer = problem(status, code, detail)
    return httpx.Response(status, content=bytes(answer.body), headers=dict(answer.headers))


def put_suite(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response]
) -> None:
    """Have the command ask this suite, with a key from the environment."""
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        smallprint, "Client", partial(smallprint.Client, transport=transport, retries=0)
    )
    monkeypatch.setenv("SMALLPRINT_KEY", "sp_key")


@contextmanager
def opened(folder: Path, service: str) -> Iterator[Store]:
    """The database of a service in a data folder, made where it is missing."""
    store = Store(f"sqlite:///{folder / service}.db", service, migrations()[service])
    store.migrate()
    try:
        yield store
    finally:
        store.close()
