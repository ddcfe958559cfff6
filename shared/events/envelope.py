"""The envelope of every event: CloudEvents 1.0 in structured JSON (cloudevents.io, 1.0.2).

`tenant`, `actor`, `causationid` and, by the extension "Distributed Tracing", `traceparent` and
`tracestate` are extension attributes, in lower case as the specification demands.
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

ENVELOPE_ONLY = frozenset(
    {"id", "time", "tenant", "document_id", "actor", "cause", "trace", "trace_state"}
)
"""Fields of an event that are attributes of the envelope, not data."""


class BlobRef(BaseModel):
    """A reference to stored bytes."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="hash of the bytes, and their key in the blob store"
    )
    size: int = Field(ge=0, description="bytes")
    owner: str = Field(
        "",
        pattern=r"^([a-z]{3,32})?$",
        description="the service that wrote them and may delete them; empty: ingest",
    )

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit an empty owner."""
        written: dict[str, Any] = write(self)
        if not self.owner:
            del written["owner"]
        return written


class Event(BaseModel):
    """Something that happened to one document. Subclasses add the type and the data.

    Unknown fields are ignored, so that an older reader understands a newer writer: a new optional
    field keeps the version, a changed meaning is a new one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: ClassVar[str]
    """The CloudEvents type, with its version: `document.read.v1`."""

    id: str = Field(
        default_factory=lambda: uuid.uuid4().hex,
        min_length=1,
        max_length=64,
        description="unique; an event takes effect once",
    )
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    tenant: str = Field("default", min_length=1, max_length=64)
    document_id: str = Field(min_length=1, max_length=64)
    actor: str | None = Field(None, description="the causing key or person")
    cause: str | None = Field(None, description="id of the causing event")
    trace: str | None = Field(
        None,
        description="W3C traceparent of the causing span",
    )
    trace_state: str | None = Field(
        None, max_length=512, description="W3C tracestate of the first request"
    )

    @property
    def key(self) -> str:
        """The key that orders the events of one document."""
        return f"{self.tenant}/{self.document_id}"

    def to_json(self, source: str) -> bytes:
        """Encode the envelope; `source` is the sending service."""
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
        """Decode one message. Raises pydantic's ValidationError."""
        return cls.model_validate_json(value)

    def fields(self) -> dict[str, Any]:
        """Return the fields of the event."""
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
