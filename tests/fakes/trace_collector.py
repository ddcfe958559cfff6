"""A collector of traces that keeps what it is sent: OTLP over HTTP in protobuf, as senders speak it
(OpenTelemetry protocol, "OTLP/HTTP"). For tests and pictures; a suite that is at work needs one
that stores.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATH = "/v1/traces"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Received:
    """One span."""

    trace: str
    id: str
    parent: str  # empty: it begins its trace
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
        """How long it took."""
        return (self.end - self.start) / 1e9


@dataclass
class Collector:
    """Listens on a port of 127.0.0.1 during a `with` block."""

    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)  # every request as it came, unpacked
    refused: list[str] = field(default_factory=list)  # errors of requests outside the protocol

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """For SMALLPRINT_TRACES."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def trace_of(self, document: str) -> str | None:
        """The trace of a document: that of its upload, if it has come in."""
        for one in list(self.spans):
            about = one.attributes.get("smallprint.document") == document
            if about and one.name == "POST /v1/documents":
                return one.trace
        return None

    def of_trace(self, trace: str) -> list[Received]:
        """The spans of one trace, by their beginnings."""
        return sorted((one for one in list(self.spans) if one.trace == trace), key=_start)

    def take(self, body: bytes) -> None:
        """Keep what one request holds. Raises protobuf's DecodeError for anything else."""
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


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            wrong = self.path != PATH or self.headers["content-type"] != PROTOBUF
            if wrong:
                collector.refused.append(f"{self.path} {self.headers['content-type']}")
            else:
                collector.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(400 if wrong else 200)
            self.send_header("content-type", PROTOBUF)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """The spans themselves are kept."""

    return Handler
