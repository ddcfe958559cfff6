"""The child process that reads documents: it answers the requests of `sandbox.Reader`.

It is confined (`confinement.py`). It answers with JSON and raw bytes, never pickles.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from shared.documents.channel import MAX_MESSAGE, UNPACKED_AT_ONCE, receive, send
from shared.documents.confinement import allow_seconds, confine_files, confine_process
from shared.documents.model.parsed_document import Limits, PageRead
from shared.documents.pages.tesseract import Library, engine
from shared.documents.reader import decrypt, load_engines, read, render, unpack
from shared.documents.unpacking import Attachment
from shared.documents.xbrl.xbrl import facts_of
from shared.errors import SuiteError

_ROOT = Path(__file__).resolve().parents[2]
_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/X11/fonts")
"""Where PDFium looks for a font that a PDF lacks."""


def serve(descriptor: int, parent: int, memory_bytes: int) -> None:
    """Run the child: answer requests until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    load_engines()  # before memory is limited and no library can be loaded
    channel = socket.socket(fileno=descriptor)
    landlock = confine_files(_readable())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    send(channel, {"landlock": landlock, "filter": confine_process(memory_bytes)})
    while True:
        try:
            request, data = receive(channel)
        except (OSError, EOFError):
            return
        leaves = _serve_request(channel, json.loads(request), data)
        if leaves:
            return


def _readable() -> set[Path]:
    """Return the folders of Python, its packages, our code, fonts and data for recognition.

    A checkout can have the data folder in it, so of a checkout only our code is included.
    """
    folders = [Path(entry) for entry in sys.path]
    packages = {folder for folder in folders if not (folder / "Makefile").is_file()}
    recognition = engine()
    data = {Path(recognition.data)} if isinstance(recognition, Library) else set()
    return {_ROOT / "shared", *packages, *map(Path, _FONTS), *data}


def _serve_request(channel: socket.socket, request: dict[str, Any], data: bytes) -> bool:
    """Answer one request. Returns True if the child should end after it."""
    limits = Limits(**request["limits"])
    allow_seconds(limits.seconds)
    try:
        head, body = _act(channel, request, data, limits)
    except SuiteError as error:
        send(channel, _error(error.code, error.message, error.document))
        return False
    except MemoryError:
        message = f"reading this document needs more than {limits.memory_bytes // 1_000_000} MB"
        send(channel, _error("unreadable_document", message, request["name"]) | {"leaves": True})
        return True
    except Exception as error:  # noqa: BLE001 - a defect must cost only this document
        message = f"reading this document failed: {type(error).__name__}: {error}"
        send(channel, _error("unreadable_document", message, request["name"]) | {"leaves": True})
        return True
    send(channel, head, body)
    return False


def _error(code: str, message: str, document: str | None) -> dict[str, Any]:
    message = message[:MAX_MESSAGE].encode("utf-8", "replace").decode()
    return {"error": {"code": code, "message": message, "document": document or None}}


def _act(
    channel: socket.socket, request: dict[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes]:
    if request["do"] == "unpack":
        return _unpack(channel, request, data, limits)
    password = request["password"]
    if request["do"] == "render":
        return {}, render(data, request["number"], scale=request["scale"], password=password)
    if request["do"] == "decrypt":
        return {}, decrypt(data, password=password)
    if request["do"] == "facts":
        return {}, facts_of(data).to_bytes()
    parsed = read(
        data,
        name=request["name"],
        password=password,
        limits=limits,
        skip=request["skip"],
        progress=lambda number: send(channel, {"page": number}),
        recognising=lambda number: _recognise(channel, number, limits),
        on_page=partial(_send_page, channel) if request["pages"] else None,
    )
    text = parsed.text.encode()
    return {"text_bytes": len(text)}, text + parsed.to_bytes(compress=False)


def _send_page(channel: socket.socket, page: PageRead) -> None:
    head = {name: value for name, value in vars(page).items() if name != "text"}
    send(channel, {"page": page.number, "page_read": head}, page.text.encode())


def _recognise(channel: socket.socket, number: int, limits: Limits) -> None:
    """Request the extra time for recognising a page, here and from the parent."""
    allow_seconds(limits.seconds + limits.page_seconds)
    send(channel, {"page": number, "recognising": True})


def _unpack(
    channel: socket.socket, request: dict[str, Any], data: bytes, limits: Limits
) -> tuple[dict[str, Any], bytes]:
    """Return as many parts as fit in one reply, and the total number of parts."""
    contents = unpack(data, name=request["name"], limits=limits, depth=request["depth"])
    parts: list[dict[str, Any]] = []
    body = bytearray()
    for part in contents.parts(
        request["first"],
        skip=request["skip"],
        unpacked=request["unpacked"],
        progress=lambda index: send(channel, {"page": index}),
    ):
        if isinstance(part, Attachment):
            parts.append({"name": part.name, "media_type": part.media_type, "size": len(part.data)})
            body += part.data
        else:
            parts.append({"name": part.name, "code": part.code, "reason": part.reason, "size": 0})
        if len(body) >= UNPACKED_AT_ONCE:
            break
    return {"parts": parts, "total": len(contents.names)}, bytes(body)


def _end_with(parent: int) -> None:
    """End this process soon after its parent.

    PR_SET_PDEATHSIG would not do: it follows the thread that started the child, and such threads
    come and go.
    """
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)  # its children too: the group is its own
