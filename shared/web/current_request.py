"""The request that this code works for, and facts about it for its line in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class CurrentRequest:
    """A request, shared by the threads that work on it."""

    address: str
    """Of the client, from a trusted proxy if there is one."""
    recorded: bool = False
    """Whether the audit trail has a line for it."""
    document: str = ""
    """Id of the document whose item it is about."""


_request: ContextVar[CurrentRequest | None] = ContextVar("request", default=None)


@contextmanager
def request_from(address: str) -> Iterator[CurrentRequest]:
    """Run the block as a request from the address of a client."""
    request = CurrentRequest(address)
    token = _request.set(request)
    try:
        yield request
    finally:
        _request.reset(token)


def current_request() -> CurrentRequest | None:
    """Return the current request; None outside of requests."""
    return _request.get()


def set_document(document_id: str) -> None:
    """Name the document whose item the current request is about, for the audit trail."""
    if request := _request.get():
        request.document = document_id
