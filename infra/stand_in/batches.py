"""The batch interfaces of OpenAI and Anthropic, seen from the other side, and ways to misbehave."""

from __future__ import annotations

import email.parser
import email.policy
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

BatchFault = Literal[
    "never", "stuck", "failed", "drop", "gateway", "vanish", "twice", "foreign", "late", "broken"
]
"""`never` does not end, and can't be stopped; `stuck` answers its last request, and goes on when it
is stopped; `failed` is refused as a whole; `drop` takes a batch
and breaks off, `gateway` takes it and answers 503, `vanish` breaks off and does not take it;
`twice` answers each request twice, differently; `foreign` answers requests that were not in it;
`late` is not in the list yet; `broken` has lines that are no JSON.
"""
BATCH_FAULTS: tuple[BatchFault, ...] = get_args(BatchFault)
_OPENAI, _ANTHROPIC, _FILES = "/v1/batches", "/v1/messages/batches", "/v1/files"

Answer = Callable[[str, Mapping[str, Any]], tuple[str, Any]]
"""What becomes of a request: (path, body) -> `answered` and the message, or `errored`, `expired` or
`missing`."""


class BrokenOff(Exception):
    """The connection ends here."""


@dataclass
class Held:
    """A batch that was handed in."""

    id: str
    protocol: str
    requests: Mapping[str, Mapping[str, Any]]
    faults: frozenset[BatchFault]
    looks: int
    """How often it is looked at before it has ended."""
    mark: Any = None
    file: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    stopped: bool = False
    lines: list[bytes] | None = None
    errors: list[bytes] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether its answers are there."""
        return self.lines is not None


class BatchDesk:
    """Takes batches in. Threads share it.

    Args:
        answer: what becomes of each request, once.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.faults: frozenset[BatchFault] = frozenset()
        """Of the batches that are handed in from now on."""
        self.looks = 1
        """How often one is looked at before it has ended."""
        self.held: dict[str, Held] = {}
        self.files: dict[str, bytes] = {}
        self.deleted: list[str] = []
        self._guard = threading.RLock()
        self._count = 0

    def serves(self, path: str) -> bool:
        """Whether an address is one of a batch interface."""
        return urlsplit(path).path.startswith((_OPENAI, _ANTHROPIC, _FILES))

    def handle(self, method: str, target: str, kind: str, body: bytes) -> tuple[int, Any]:
        """Status and content of an answer; bytes are sent as they are.

        Raises BrokenOff: there is none.
        """
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        with self._guard:
            if path == _FILES and method == "POST":
                return self._upload(kind, body)
            if path.startswith(_FILES):
                return self._file(method, path.removeprefix(f"{_FILES}/"))
            base = _ANTHROPIC if path.startswith(_ANTHROPIC) else _OPENAI
            protocol = "anthropic" if base == _ANTHROPIC else "openai"
            rest = path.removeprefix(base).strip("/")
            if not rest:
                if method == "POST":
                    return self._create(protocol, json.loads(body))
                return self._list(protocol, query)
            return self._one(method, *rest.partition("/")[::2])

    def _upload(self, kind: str, body: bytes) -> tuple[int, Any]:
        head = f"content-type: {kind}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = {
            part.get_param("name", header="content-disposition"): part for part in form.iter_parts()
        }
        if parts["purpose"].get_content().strip() != "batch":
            return 400, _error("the purpose is not batch")
        id_ = self._id("file-")
        content = bytes(parts["file"].get_payload(decode=True))
        self.files[id_] = content
        named = {"filename": parts["file"].get_filename(), "bytes": len(content)}
        return 200, {"id": id_, "object": "file", "purpose": "batch", **named}

    def _file(self, method: str, rest: str) -> tuple[int, Any]:
        id_, _, content = rest.partition("/")
        if id_ not in self.files:
            return 404, _error("no such file")
        if method == "DELETE":
            del self.files[id_]
            self.deleted.append(id_)
            return 200, {"id": id_, "object": "file", "deleted": True}
        return 200, self.files[id_] if content else {"id": id_, "object": "file"}

    def _create(self, protocol: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        if protocol == "anthropic":
            requests = {one["custom_id"]: one["params"] for one in body["requests"]}
            many = len(body["requests"])
        else:
            lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
            assert all(one["method"] == "POST" for one in lines)
            assert {one["url"] for one in lines} == {body["endpoint"]}
            assert body["completion_window"] == "24h"
            requests, many = {one["custom_id"]: one["body"] for one in lines}, len(lines)
        if len(requests) != many:
            return 400, _error("an id came twice")
        if "vanish" in self.faults:
            raise BrokenOff
        held = Held(
            id=self._id("msgbatch_" if protocol == "anthropic" else "batch_"),
            protocol=protocol,
            requests=requests,
            faults=self.faults,
            looks=self.looks,
            mark=body.get("metadata"),
            file=body.get("input_file_id", ""),
        )
        self.held[held.id] = held
        if "drop" in self.faults:
            raise BrokenOff
        if "gateway" in self.faults:
            return 503, _error("overloaded")
        return 200, _shown(held)

    def _list(self, protocol: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        mine = [h for h in self.held.values() if h.protocol == protocol and "late" not in h.faults]
        mine.reverse()
        after = (query.get("after_id") or query.get("after") or [""])[0]
        first = [h.id for h in mine].index(after) + 1 if after else 0
        page = mine[first : first + int(query["limit"][0])]
        more = first + len(page) < len(mine)
        for held in page:
            self._work(held)
        return 200, {"object": "list", "data": [_shown(h) for h in page], "has_more": more}

    def _one(self, method: str, id_: str, what: str) -> tuple[int, Any]:
        held = self.held.get(id_)
        if held is None:
            return 404, _error("no such batch")
        if method == "DELETE":
            if not held.ended:
                return 400, _error("it is not done: cancel it, and wait")
            self.deleted.append(id_)
            del self.held[id_]
            return 200, {"id": id_, "type": "message_batch_deleted"}
        if what == "cancel":
            held.stopped = True
        elif what == "results":
            return 200, b"\n".join(held.lines or [])
        else:
            self._work(held)
        return 200, _shown(held)

    def _work(self, held: Held) -> None:
        """A while has passed since the last look."""
        if not held.ended and "never" not in held.faults:
            held.looks -= 1
            if (held.looks <= 0 and "stuck" not in held.faults) or held.stopped:
                self._end(held)

    def _end(self, held: Held) -> None:
        held.lines = []
        if "failed" in held.faults:
            return
        requests = list(held.requests.items())[::-1]  # in no order, as it is said
        if "foreign" in held.faults:
            requests.insert(0, ("ca_of_somebody_else", requests[0][1]))
        if "twice" in held.faults:
            requests += requests
        path = "/v1/messages" if held.protocol == "anthropic" else "/v1/chat/completions"
        for place, (id_, body) in enumerate(requests):
            done = not held.stopped or (place == 0 and "stuck" in held.faults)
            end, message = self.answer(path, body) if done else ("stopped", None)
            if end != "missing":
                bad = held.protocol == "openai" and end != "answered"
                line = json.dumps(_line(held.protocol, id_, end, message)).encode()
                (held.errors if bad else held.lines).append(line)
        if "broken" in held.faults:
            held.lines[:0] = [b'{"custom_id": ', b"[]", b'{"custom_id": 3, "result": 4}']
        if held.protocol == "openai":
            for lines, name in ((held.lines, "output"), (held.errors, "error")):
                if lines:
                    self.files[f"file-{name}-{held.id}"] = b"\n".join(lines)

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count:04}"


def _line(protocol: str, id_: str, end: str, message: Any) -> dict[str, Any]:
    if protocol == "anthropic":
        errored = {"type": "error", "error": {"type": "api_error", "message": "stand-in"}}
        results: dict[str, dict[str, Any]] = {
            "answered": {"type": "succeeded", "message": message},
            "errored": {"type": "errored", "error": errored},
            "expired": {"type": "expired"},
            "stopped": {"type": "canceled"},
        }
        return {"custom_id": id_, "result": results[end]}
    response = {"status_code": 200, "request_id": "req_1", "body": message}
    code = {"expired": "batch_expired", "stopped": "batch_cancelled"}.get(end)
    failed = {"status_code": 500, "request_id": "req_1", "body": _error("stand-in")}
    return {
        "id": f"batch_req_{id_}",
        "custom_id": id_,
        "response": {"answered": response, "errored": failed}.get(end),
        "error": {"code": code, "message": "stand-in"} if code else None,
    }


def _shown(held: Held) -> dict[str, Any]:
    """A batch as its protocol shows it."""
    if held.protocol == "anthropic":
        kinds = [json.loads(line)["result"]["type"] for line in _good(held.lines or [])]
        counts = {"processing": 0 if held.ended else len(held.requests)}
        counts |= {
            kind: kinds.count(kind) for kind in ("succeeded", "errored", "expired", "canceled")
        }
        state = "ended" if held.ended else "canceling" if held.stopped else "in_progress"
        return {
            "id": held.id,
            "type": "message_batch",
            "processing_status": state,
            "request_counts": counts,
            "created_at": held.created.isoformat().replace("+00:00", "Z"),
            "results_url": "https://elsewhere.example/results" if held.ended else None,
        }
    failed = "failed" in held.faults and held.ended
    ended, going = ("cancelled", "cancelling") if held.stopped else ("completed", "in_progress")
    state = "failed" if failed else ended if held.ended else going
    has = {name: bool(lines) for name, lines in (("output", held.lines), ("error", held.errors))}
    return {
        "id": held.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": held.file,
        "completion_window": "24h",
        "status": state,
        "created_at": int(held.created.timestamp()),
        **{
            f"{name}_file_id": f"file-{name}-{held.id}" if there and held.ended else None
            for name, there in has.items()
        },
        "request_counts": {"total": len(held.requests), "completed": 0, "failed": 0},
        "metadata": held.mark,
    }


def _good(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b'"type": ' in line]


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}
