"""In whose name something is done: the tenant of the key that asks, or of the event in hand.

It is said once, where a key was checked or an event was opened, and held against whatever is done
meanwhile: each statement that is put to a database, each name of a blob, and each event that is
announced. So a mistake anywhere in between is an error, and no look at what is another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CrossesTenants(Exception):
    """A mistake of the program: something is about to touch what may be another tenant's."""


class _Work:
    """One request or event. Threads that help with it share it."""

    __slots__ = ("tenant",)

    def __init__(self, tenant: str | None) -> None:
        self.tenant = tenant


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


@contextmanager
def work_of(tenant: str | None = None) -> Iterator[None]:
    """Do the work of one request or event within the block.

    Args:
        tenant: whose it is; None if that is yet to be said by `belongs_to`.
    """
    token = _work.set(_Work(tenant))
    try:
        yield
    finally:
        _work.reset(token)


def belongs_to(tenant: str) -> None:
    """Say whose the work in hand is. Raises CrossesTenants if it is another one's already."""
    work = _work.get()
    if work is None:
        return
    must_be_of(tenant, "a key")
    work.tenant = tenant


def must_be_of(tenant: str, what: str) -> None:
    """Raise CrossesTenants if the work in hand is of another tenant. Outside of any work, and
    before it is said whose it is, nothing is known and nothing refused.
    """
    work = _work.get()
    if work is not None and work.tenant is not None and work.tenant != tenant:
        raise CrossesTenants(
            f"{what} of tenant {tenant!r} in the work of tenant {work.tenant!r}: nothing was done"
        )
