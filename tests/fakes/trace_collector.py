"""A trace collector for tests and pictures: OTLP over HTTP in protobuf (OpenTelemetry protocol,
"OTLP/HTTP"). It keeps spans in memory only, so it is not for production.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.local_server import LocalServer, Reply, Request

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Received:
    """One span."""

    trace: str
    id: str
    parent: str  # empty: the first span of its trace
    service: str
    name: str
    kind: int
    start: int  # nanoseconds since 1970
    end: int
    attributes: Mapping[str, Any]
    failed: bool
    links: tuple[str, ...] = ()  # the traces that it is linked to

    @property
    def seconds(self) -> float:
        """Its duration in seconds."""
        return (self.end - self.start) / 1e9


class Collector(LocalServer):
    """Collects spans on a port of 127.0.0.1 during a `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Received] = []
        self.bodies: list[bytes] = []  # every request body, decompressed
        self.refused: list[str] = []  # errors of requests outside the protocol

    @property
    def url(self) -> str:
        """The URL for SMALLPRINT_TRACES."""
        return f"http://127.0.0.1:{self.port}"

    def reply(self, request: Request) -> Reply:
        """Keep the spans of a request."""
        kind = request.headers["content-type"]
        wrong = request.path != PATH or kind != PROTOBUF
        if wrong:
            self.refused.append(f"{request.path} {kind}")
        else:
            packed = request.headers.get("content-encoding") == "gzip"
            self.take(gzip.decompress(request.body) if packed else request.body)
        answer = ExportTraceServiceResponse().SerializeToString()
        return Reply(400 if wrong else 200, {"content-type": PROTOBUF}, answer)

    def trace_of(self, document: str) -> str | None:
        """The trace of a document's upload; None before it arrives."""
        for one in list(self.spans):
            about = one.attributes.get("smallprint.document") == document
            if about and one.name == "POST /v1/documents":
                return one.trace
        return None

    def of_trace(self, trace: str) -> list[Received]:
        """The spans of one trace, by start."""
        return sorted((one for one in list(self.spans) if one.trace == trace), key=_start)

    def take(self, body: bytes) -> None:
        """Keep the spans of one request. Raises protobuf's DecodeError if it is malformed."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = str(_attributes(resource.resource.attributes)["service.name"])
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]


def _start(span: Received) -> tuple[int, str]:
    return span.start, span.id


def _received(span: Any, service: str) -> Received:
    return Received(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        service=service,
        name=span.name,
        kind=span.kind,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
