"""Logs on standard error: JSON, one object a line, or short plain lines on a terminal.

A document is found by its id in the logs of all services.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))
Form = Literal["auto", "json", "plain"]
_NOT_SHOWN = frozenset({"trace", "tenant"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters of a path, say, that would begin a forged line or colour a terminal."""
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn's, for terminals
}


@contextmanager
def log_context(**fields: str | None) -> Iterator[None]:
    """Add fields (`document`, `tenant`, `trace`, …) to every line logged inside the block.

    `trace` is a `traceparent`; lines also have its `trace_id`, for searching.
    """
    token = _context.set({**_context.get(), **{k: v for k, v in fields.items() if v}})
    try:
        yield
    finally:
        _context.reset(token)


def current_trace() -> str | None:
    """The `traceparent` of the current work, or None."""
    return _context.get().get("trace")


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, service, logger, message, context and extras."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        """Format one record; values that JSON lacks become text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
        }
        line.update(_extras(record))
        if trace := current_trace():
            line["trace_id"] = trace.split("-")[1] if trace.count("-") == 3 else trace
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainFormatter(logging.Formatter):
    """A line for a person: time, severity if it is a warning or worse, message, and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record, without traces."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        severity = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        fields = {**_context.get(), **_extras(record)}
        shown = [f"{name}={value}" for name, value in fields.items() if name not in _NOT_SHOWN]
        line = _CONTROL.sub(_escaped, "  ".join([record.getMessage(), *shown]))
        error = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{time} {severity}{line}{error}"


def _escaped(control: re.Match[str]) -> str:
    return repr(control[0])[1:-1]


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


_arguments: dict[str, Any] = {"service": "smallprint"}


def logs_as_here() -> dict[str, Any]:
    """Return the arguments with which a child process configures the same logs."""
    return dict(_arguments)


def configure_logs(service: str, level: str = "INFO", form: Form = "auto") -> None:
    """Send every logger of this process to standard error.

    Args:
        form: `json`, `plain`, or `auto` for plain lines on a terminal.
    """
    _arguments.update(service=service, level=level, form=form)
    handler = logging.StreamHandler(sys.stderr)
    is_plain = form == "plain" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(PlainFormatter() if is_plain else JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("kafka", "httpx", "httpcore", "alembic", "uvicorn.access", "pypdf"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
