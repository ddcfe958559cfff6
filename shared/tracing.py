"""Traces of a document through all services (OpenTelemetry). The only file that knows the library.

The context travels as W3C Trace Context, in the headers `traceparent` and `tracestate` of requests
and messages. Events have it in attributes of the same names (the CloudEvents extension "Distributed
Tracing"). It is passed on even if nobody collects spans. Spans are made only if `SMALLPRINT_TRACES`
or `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector of OTLP over HTTP. Otherwise the library is not
loaded.

Spans contain ids, numbers and names of the suite, and never text of a document.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from shared.errors import SettingsError
from shared.logs import current_trace, log_context
from shared.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as LibrarySpan
    from opentelemetry.trace import SpanContext, Tracer

log = logging.getLogger(__name__)

Kind = Literal["internal", "server", "client", "consumer"]
Value = str | int | float | bool
Attributes = Mapping[str, Value | None]

DOCUMENT, TENANT, EVENT = "smallprint.document", "smallprint.tenant", "smallprint.event"
"""Attributes of many spans: the ids of a document, of its tenant, and of an event."""

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSE_MS = 5_000
"""Milliseconds that the end of a process waits for a collector."""

_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"(?=[^=]*=)[\x20-\x7e]{1,512}")

_service: ContextVar[str] = ContextVar("service", default="smallprint")
_state: ContextVar[str | None] = ContextVar("tracestate", default=None)


@dataclass(frozen=True)
class Carried:
    """The context of a trace, as it travels."""

    parent: str | None = None
    """`traceparent`."""
    state: str | None = None
    """`tracestate`."""

    @classmethod
    def read(cls, parent: str | None, state: str | None = None) -> Carried:
        """The context of a request or event; a malformed one is ignored."""
        if not parent or not _PARENT.fullmatch(parent):
            return cls()
        return cls(parent, state if state and _STATE.fullmatch(state) else None)

    def or_new(self) -> Carried:
        """This context, or that of a new trace."""
        if self.parent:
            return self
        return Carried(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")

    @property
    def headers(self) -> dict[str, str]:
        """Its headers."""
        found = {"traceparent": self.parent, "tracestate": self.state}
        return {name: value for name, value in found.items() if value}


class Span:
    """A timed piece of work; an empty one, if nobody collects spans."""

    def __init__(self, span: LibrarySpan | None = None) -> None:
        self._span = span

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(_present(attributes))

    def rename(self, name: str) -> None:
        """Change its name."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, code: str) -> None:
        """Mark it as failed, by a code and never by a message."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute("error.type", code)
            self._span.set_status(Status(StatusCode.ERROR))


_NO_SPAN = Span()
_span: ContextVar[Span] = ContextVar("span", default=_NO_SPAN)
_NOTHING: AbstractContextManager[Span] = nullcontext(_NO_SPAN)
_exporting: _Exporting | None = None


def carried() -> Carried:
    """The context of the current work."""
    return Carried(current_trace(), _state.get())


def is_on() -> bool:
    """Whether spans are made in this process."""
    return _exporting is not None


def span(
    name: str, attributes: Attributes | None = None, kind: Kind = "internal"
) -> AbstractContextManager[Span]:
    """A span of the current work. It costs nothing if nobody collects spans."""
    if _exporting is None:
        return _NOTHING
    return _exporting.span(_service.get(), name, kind, attributes or {}, carried(), link=None)


@contextmanager
def entered(
    service: str,
    name: str,
    came: Carried,
    kind: Kind,
    attributes: Attributes | None = None,
    *,
    link: Carried | None = None,
    quiet: bool = False,
) -> Iterator[Span]:
    """The span of a request or event that a service handles.

    Everything logged and announced inside the block belongs to its trace.

    Args:
        came: the context of the request or event; an empty one begins a trace.
        link: a related trace.
        quiet: make no span.
    """
    service_before, state_before = _service.set(service), _state.set(came.state)
    try:
        with log_context(trace=came.parent):
            if _exporting is None or quiet:
                yield _NO_SPAN
            else:
                given = attributes or {}
                with _exporting.span(service, name, kind, given, came, link=link) as made:
                    yield made
    finally:
        _state.reset(state_before)
        _service.reset(service_before)


def say(attributes: Attributes) -> None:
    """Add attributes to the current span."""
    if _exporting is not None:
        _span.get().set(attributes)


def configure(endpoint: str) -> None:
    """Send spans to the collector that `endpoint` or the usual variables name, if any.

    Raises:
        SettingsError: there is one, and the library is not installed.
    """
    global _exporting  # noqa: PLW0603 - one door out of a process
    if _exporting is not None or not (endpoint or any(map(os.environ.get, ENDPOINTS))):
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise SettingsError(
            "SMALLPRINT_TRACES needs the packages of OpenTelemetry, which are not installed: "
            "install requirements/kafka.txt, or leave it empty"
        )
    _exporting = _Exporting(endpoint)


@contextmanager
def collected(endpoint: str) -> Iterator[None]:
    """`configure` for the time of the block."""
    configure(endpoint)
    try:
        yield
    finally:
        close()


def close() -> None:
    """Send the remaining spans, for at most `CLOSE_MS`, and make no more."""
    global _exporting
    exporting, _exporting = _exporting, None
    if exporting is not None:
        exporting.close()


class _Exporting:
    """Sends the spans of all services of this process to a collector."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        url = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))
        self._tracers: dict[str, Tracer] = {}

    @contextmanager
    def span(
        self,
        service: str,
        name: str,
        kind: Kind,
        attributes: Attributes,
        parent: Carried,
        link: Carried | None,
    ) -> Iterator[Span]:
        from opentelemetry import trace

        links = [trace.Link(_span_context(link))] if link and link.parent else []
        started = self._tracer(service).start_span(
            name,
            context=_context(parent),
            kind=trace.SpanKind[kind.upper()],
            attributes=_present(attributes),
            links=links,
        )
        mine = Span(started)
        try:
            state = _state.set(started.get_span_context().trace_state.to_header() or None)
            inner = _span.set(mine)
            try:
                with log_context(trace=_parent_of(started)):
                    yield mine
            finally:
                _span.reset(inner)
                _state.reset(state)
        except BaseException as error:
            # Only its type: a message may quote the document.
            mine.fail(str(getattr(error, "code", type(error).__name__)))
            raise
        finally:
            started.end()

    def _tracer(self, service: str) -> Tracer:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        if service not in self._tracers:
            resource = Resource.create(
                {
                    "service.namespace": "smallprint",
                    "service.name": service,
                    "service.version": VERSION,
                }
            )
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(self._processor)
            self._tracers[service] = provider.get_tracer("smallprint", VERSION)
        return self._tracers[service]

    def close(self) -> None:
        self._processor.force_flush(CLOSE_MS)
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def _present(attributes: Attributes) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _context(came: Carried) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(came.headers, Context())


def _span_context(came: Carried) -> SpanContext:
    from opentelemetry.trace import get_current_span

    return get_current_span(_context(came)).get_span_context()


def _parent_of(span: LibrarySpan) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
