"""The batch interfaces of providers: many questions handed in at once, answered within a day, at
half the price.

Source: OpenAI's API reference, "Batch" and "Files", and its guide "Batch API"; Anthropic's API
reference, "Message Batches", and its guide "Batch processing". Both say that answers come in any
order, that a request which expired, was cancelled or failed is not billed, and that those which
were answered before a batch expired are.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal, Protocol

from services.escalation.providers.base import Dialect, Reply, words
from services.escalation.providers.post import Method

SHARE = Decimal("0.5")
"""Of the price, for input and output alike."""
HOURS = timedelta(hours=24)
"""Within which a batch ends, as the provider says."""
LISTED_AT_ONCE = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

End = Literal["answered", "not billed", "unknown"]


@dataclass(frozen=True)
class Wanted:
    """One request to a provider."""

    method: Method
    path: str
    body: bytes = b""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Remote:
    """A batch, as its provider speaks of it."""

    id: str
    state: Literal["working", "ended", "failed"]
    created: datetime
    requests: int
    """How many it has; 0 while that is not counted yet."""
    mark: str = ""
    """What we called it, where the protocol has a place for that."""
    results: tuple[str, ...] = ()
    """Paths of the answers."""
    files: tuple[str, ...] = ()
    """Ids of files with words of it, which stay until they are deleted."""
    stopping: bool = False
    """Whether it was stopped, and is not at its end yet."""


@dataclass(frozen=True)
class Line:
    """What became of one request of a batch."""

    id: str
    """The one that we gave it."""
    end: End
    reply: Reply | None = None
    reason: str = ""


class BatchDialect(Protocol):
    """How the batch interface of a kind of provider is spoken to. What reads answers raises
    LookupError, TypeError or ValueError for another form.
    """

    marks: bool
    """Whether a batch carries a mark of ours, by which it is found again in a list."""
    deletes: bool
    """Whether a batch itself can be deleted. Where only its files can, there is always a batch."""

    def upload(self, requests: Mapping[str, Mapping[str, Any]], mark: str) -> Wanted | None:
        """What has to be there before a batch; None if nothing has."""

    def unload(self, uploaded: Any) -> Wanted:
        """Delete what was uploaded for a batch that was not made, by the answer to `upload`."""

    def create(self, requests: Mapping[str, Mapping[str, Any]], mark: str, uploaded: Any) -> Wanted:
        """Hand a batch in."""

    def read(self, answer: Any) -> Remote:
        """A batch in an answer."""

    def look(self, remote: str) -> Wanted:
        """Ask how it is."""

    def cancel(self, remote: str) -> Wanted:
        """Stop it."""

    def listed(self, after: str) -> Wanted:
        """A page of all batches, the newest first."""

    def forget(self, remote: Remote) -> Iterator[Wanted]:
        """Delete its words at the provider."""

    def line(self, answer: Any, dialect: Dialect) -> Line:
        """What became of a request."""


class AnthropicBatches:
    """Message Batches. See `BatchDialect`. Results are fetched below the provider's own address:
    the one that an answer names might be another's, and the key would go there.
    """

    marks: bool = False
    deletes: bool = True
    _PATH = "/v1/messages/batches"

    def upload(self, requests: Mapping[str, Mapping[str, Any]], mark: str) -> Wanted | None:  # noqa: ARG002
        return None

    def unload(self, uploaded: Any) -> Wanted:  # noqa: ARG002
        raise ValueError("nothing is uploaded")

    def create(
        self,
        requests: Mapping[str, Mapping[str, Any]],
        mark: str,  # noqa: ARG002 (there is no place for it)
        uploaded: Any,  # noqa: ARG002
    ) -> Wanted:
        body = {"requests": [{"custom_id": id_, "params": one} for id_, one in requests.items()]}
        return Wanted("POST", self._PATH, _encoded(body))

    def read(self, answer: Any) -> Remote:
        id_, counts = _id(answer["id"]), answer.get("request_counts") or {}
        ended = answer["processing_status"] == "ended"
        return Remote(
            id=id_,
            state="ended" if ended else "working",
            created=datetime.fromisoformat(words(answer["created_at"])),
            requests=sum(map(int, counts.values())),
            results=(f"{self._PATH}/{id_}/results",) if ended else (),
            stopping=answer["processing_status"] == "canceling",
        )

    def look(self, remote: str) -> Wanted:
        return Wanted("GET", f"{self._PATH}/{_id(remote)}")

    def cancel(self, remote: str) -> Wanted:
        return Wanted("POST", f"{self._PATH}/{_id(remote)}/cancel")

    def listed(self, after: str) -> Wanted:
        return Wanted("GET", _page(self._PATH, "after_id", after))

    def forget(self, remote: Remote) -> Iterator[Wanted]:
        yield Wanted("DELETE", f"{self._PATH}/{_id(remote.id)}")

    def line(self, answer: Any, dialect: Dialect) -> Line:
        id_, result = words(answer["custom_id"]), answer["result"]
        kind = words(result["type"])
        if kind == "succeeded":
            return _answered(id_, result["message"], dialect)
        if kind in ("errored", "canceled", "expired"):
            return Line(id_, "not billed", reason=kind)
        return Line(id_, "unknown", reason="it ended in a way that is not known")


class OpenAIBatches:
    """Batches over files. See `BatchDialect`."""

    marks: bool = True
    deletes: bool = False
    _PATH = "/v1/batches"
    _MARK = "smallprint"
    _STATES: ClassVar[Mapping[str, Literal["working", "ended", "failed"]]] = {
        **dict.fromkeys(("validating", "in_progress", "finalizing", "cancelling"), "working"),
        **dict.fromkeys(("completed", "expired", "cancelled"), "ended"),
        "failed": "failed",
    }

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def upload(self, requests: Mapping[str, Mapping[str, Any]], mark: str) -> Wanted | None:
        lines = b"\n".join(
            _encoded({"custom_id": id_, "method": "POST", "url": self._endpoint, "body": one})
            for id_, one in requests.items()
        )
        border = secrets.token_hex(16)
        name = f"{self._MARK}-{mark}.jsonl"
        body = (
            f'--{border}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{border}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
            "content-type: application/jsonl\r\n\r\n"
        ).encode() + lines
        body += f"\r\n--{border}--\r\n".encode()
        kind = f"multipart/form-data; boundary={border}"
        return Wanted("POST", "/v1/files", body, {"content-type": kind})

    def unload(self, uploaded: Any) -> Wanted:
        return self._deleting(uploaded["id"])

    def create(
        self,
        requests: Mapping[str, Mapping[str, Any]],  # noqa: ARG002 (the file has them)
        mark: str,
        uploaded: Any,
    ) -> Wanted:
        body = {
            "input_file_id": _id(uploaded["id"]),
            "endpoint": self._endpoint,
            "completion_window": "24h",
            "metadata": {self._MARK: mark},
        }
        return Wanted("POST", self._PATH, _encoded(body))

    def read(self, answer: Any) -> Remote:
        state = self._STATES[answer["status"]]
        counts = answer.get("request_counts") or {}
        made = [_id(f) for name in ("output", "error") if (f := answer.get(f"{name}_file_id"))]
        return Remote(
            id=_id(answer["id"]),
            state=state,
            created=datetime.fromtimestamp(int(answer["created_at"]), UTC),
            requests=int(counts.get("total") or 0),
            mark=words((answer.get("metadata") or {}).get(self._MARK)),
            results=tuple(f"/v1/files/{file}/content" for file in made)
            if state != "working"
            else (),
            files=(_id(answer["input_file_id"]), *made),
            stopping=answer["status"] == "cancelling",
        )

    def look(self, remote: str) -> Wanted:
        return Wanted("GET", f"{self._PATH}/{_id(remote)}")

    def cancel(self, remote: str) -> Wanted:
        return Wanted("POST", f"{self._PATH}/{_id(remote)}/cancel")

    def listed(self, after: str) -> Wanted:
        return Wanted("GET", _page(self._PATH, "after", after))

    def forget(self, remote: Remote) -> Iterator[Wanted]:
        for file in remote.files:
            yield self._deleting(file)

    def _deleting(self, file: object) -> Wanted:
        return Wanted("DELETE", f"/v1/files/{_id(file)}")

    def line(self, answer: Any, dialect: Dialect) -> Line:
        id_, response = words(answer["custom_id"]), answer.get("response")
        if error := answer.get("error"):
            return Line(id_, "not billed", reason=words(error.get("code")) or "errored")
        if response["status_code"] != 200:
            return Line(id_, "not billed", reason=f"refused ({int(response['status_code'])})")
        return _answered(id_, response["body"], dialect)


def _answered(id_: str, message: Any, dialect: Dialect) -> Line:
    """An answer was made and is billed, whether it can be read or not."""
    try:
        return Line(id_, "answered", dialect.read(message))
    except (LookupError, TypeError, ValueError, AttributeError):
        return Line(id_, "unknown", reason="the answer is not of the protocol")


def pages(answer: Any) -> tuple[Sequence[Any], str]:
    """The batches of a page of a list, and what the next page begins after; empty at the end."""
    listed = answer["data"]
    more = bool(answer.get("has_more")) and bool(listed)
    return listed, _id(listed[-1]["id"]) if more else ""


def _page(path: str, name: str, after: str) -> str:
    return f"{path}?limit={LISTED_AT_ONCE}" + (f"&{name}={_id(after)}" if after else "")


def _id(value: object) -> str:
    """An id that may stand in an address. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not an id of a provider")
    return value


def _encoded(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
