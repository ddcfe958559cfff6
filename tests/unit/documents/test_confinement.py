"""Hostile code in the reader's child reaches nothing, and the child still reads every format."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.documents import ParsedDocument, read, render, sandbox
from shared.documents.confinement import Confinement, offered
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument
from tests.support import require
from tests.unit.documents import fuzz, mails
from tests.unit.documents.hostile import ATTACK, start
from tests.unit.documents.samples import plain
from tests.unit.documents.scanned import PATIENT, pdf_of, picture, saved

WITHOUT_LANDLOCK = Confinement(landlock=0, filter=True)
FILES_OF_OTHERS = {
    "read a blob of another tenant", "read a database", "read owner.key", "list the data folder",
    "read /etc/passwd",
}  # fmt: skip

ENCODINGS = ("shift_jis", "gb18030", "big5", "euc_kr", "iso2022_jp", "big5hkscs", "koi8_r", "utf-7")


@pytest.fixture
def aims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Files, sockets and memory that hostile code would like to have."""
    paths = {name: tmp_path / name for name in ("blob", "database", "key", "empty", "socket")}
    for name in ("blob", "database", "key", "empty"):
        paths[name].write_text("a secret")
    secret = ctypes.create_string_buffer(b"a secret")
    monkeypatch.setenv("SMALLPRINT_FRONTIER_KEY", "a secret")
    abstract = f"smallprint-{os.getpid()}"
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (str(paths["socket"]), f"\0{abstract}"):
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.bind(address)
            local.listen()
        key = stack.enter_context(paths["key"].open())
        os.set_inheritable(key.fileno(), True)
        yield {
            **{name: str(path) for name, path in paths.items()},
            "folder": str(tmp_path),
            "abstract": abstract,
            "port": server.getsockname()[1],
            "descriptor": key.fileno(),
            "address": ctypes.addressof(secret),
        }


@pytest.mark.parametrize(
    ("landlock", "reached"), [(True, set()), (False, FILES_OF_OTHERS)], ids=["with", "without"]
)
def test_hostile_code_in_the_child_reaches_nothing(
    landlock: bool, reached: set[str], aims: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = offered()
    require(here.filter and (here.landlock or not landlock), "a kernel with Landlock and seccomp")
    system = None if landlock else WITHOUT_LANDLOCK
    monkeypatch.setattr(sandbox, "_START", start(ATTACK, system))
    with Reader() as reader:
        results = json.loads(reader.read(json.dumps(aims).encode()).text)
    got = {name: result for name, result in results.items() if result.startswith("GOT")}
    assert set(got) == reached, got
    assert len(results) > 30


def test_a_child_that_could_read_files_reads_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    here = offered()
    require(here.complete, "a kernel with Landlock and seccomp")
    children = set()
    with Reader() as reader:
        for _ in range(2):
            reader.read(b"A text.")
            children.add(reader.child_id)
        assert len(children) == 1
        monkeypatch.setattr(sandbox, "_START", start(offered=WITHOUT_LANDLOCK))
        os.kill(children.pop() or 0, signal.SIGKILL)
        for _ in range(2):
            reader.read(b"A text.")
            children.add(reader.child_id)
    assert len(children) == 2


def test_the_confined_child_reads_every_format() -> None:
    documents = [(kind, data) for kind in fuzz.FORMATS for data in fuzz.samples(kind)]
    head = "Content-Type: text/plain; charset="
    documents += [("eml", mails.mail(b"A text\n", head + name)) for name in ENCODINGS]
    documents += [(form, saved(picture(), form)) for form in ("gif", "webp", "avif", "bmp")]
    documents.append(("pdf", pdf_of(picture())))
    with Reader(PATIENT) as reader:
        reader.read(b"A text.")
        child = reader.child_id
        for kind, data in documents:
            name = f"a.{kind}"
            here = _text(partial(read, data, name=name, limits=PATIENT))
            assert _text(partial(reader.read, data, name=name)) == here
        assert reader.render(plain(), 1) == render(plain(), 1)
        assert reader.child_id == child


def _text(reading: Callable[[], ParsedDocument]) -> str:
    try:
        return reading().text
    except UnreadableDocument as error:
        return error.message
