"""The envelope that every event travels in: CloudEvents 1.0, structured JSON.

The attributes are those of the specification (cloudevents.io, version 1.0.2); `tenant`, `actor`,
`causationid` and, by the extension "Distributed Tracing", `traceparent` and `tracestate` are
extension attributes, lower case as the specification asks.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

DocumentId = str

ENVELOPE_ONLY = frozenset(
    {"id", "time", "tenant", "document_id", "actor", "cause", "trace", "trace_state"}
)
"""Fields of an event that travel beside its data."""


class BlobRef(BaseModel):
    """Where some bytes lie: never the bytes themselves."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="hash of the bytes, and their name in the blob store"
    )
    size: int = Field(ge=0, description="bytes")
    owner: str = Field(
        "",
        pattern=r"^([a-z]{3,32})?$",
        description="the service that wrote them, and alone may delete them; empty: ingest",
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an owner a reference is written as it always was."""
        written: dict[str, Any] = write(self)
        if not self.owner:
            del written["owner"]
        return written


def _event_id() -> str:
    return uuid.uuid4().hex


def _now() -> datetime:
    return datetime.now(UTC)


class Event(BaseModel):
    """Something that happened to one document. Subclasses name the type and carry the data.

    Unknown fields are passed over, so that an older reader understands a newer writer: a new
    optional field keeps the version, a changed meaning is a new one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    """The CloudEvents type, with its version: `document.read.v1`."""

    id: str = Field(
        default_factory=_event_id,
        min_length=1,
        max_length=64,
        description="unique; an event of the same id takes effect once",
    )
    time: datetime = Field(default_factory=_now)
    tenant: str = Field("default", min_length=1, max_length=64)
    document_id: DocumentId = Field(min_length=1, max_length=64)
    actor: str | None = Field(None, description="who caused it: a named key or a person")
    cause: str | None = Field(None, description="id of the event that this one follows from")
    trace: str | None = Field(
        None,
        description="W3C traceparent: the trace of the request that began it all, and the span in "
        "it that this follows from",
    )
    trace_state: str | None = Field(
        None, max_length=512, description="W3C tracestate that came with that request"
    )

    @property
    def key(self) -> str:
        """What keeps all that happens to one document in order."""
        return f"{self.tenant}/{self.document_id}"

    def to_json(self, source: str) -> bytes:
        """The CloudEvents envelope as bytes; `source` is the service that speaks."""
        data = self.model_dump(mode="json", exclude=set(ENVELOPE_ONLY))
        envelope = Envelope(
            id=self.id,
            source=f"/smallprint/{source}",
            type=self.type,
            subject=self.document_id,
            time=self.time,
            tenant=self.tenant,
            actor=self.actor,
            causationid=self.cause,
            traceparent=self.trace,
            tracestate=self.trace_state,
            data=data,
        )
        return envelope.model_dump_json(exclude_none=True).encode()


class Envelope(BaseModel):
    """The attributes around an event's data."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    tenant: str
    actor: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    data: dict[str, Any]

    @classmethod
    def read(cls, value: bytes) -> Self:
        """Decode one message. Raises pydantic's ValidationError for what is no envelope."""
        return cls.model_validate_json(value)

    def fields(self) -> dict[str, Any]:
        """The fields of the event inside."""
        return {
            **self.data,
            "id": self.id,
            "time": self.time,
            "tenant": self.tenant,
            "document_id": self.subject,
            "actor": self.actor,
            "cause": self.causationid,
            "trace": self.traceparent,
            "trace_state": self.tracestate,
        }
