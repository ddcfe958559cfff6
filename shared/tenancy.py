"""The tenant of the current request or event.

It is set once, when a key is checked or an event opened. Each database statement, blob name and
announced event is checked against it. So a mistake in between is an error, and never shows another
tenant's data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class CrossesTenants(Exception):
    """A mistake of the program: it is about to touch data that may be another tenant's."""


class _Work:
    """One request or event, shared by the threads that work on it."""

    __slots__ = ("tenant",)

    def __init__(self, tenant: str | None) -> None:
        self.tenant = tenant


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


@contextmanager
def work_of(tenant: str | None = None) -> Iterator[None]:
    """Run the block as the work of one request or event.

    Args:
        tenant: of the work; None if `belongs_to` sets it later.
    """
    token = _work.set(_Work(tenant))
    try:
        yield
    finally:
        _work.reset(token)


def belongs_to(tenant: str) -> None:
    """Set the tenant of the current work. Raises CrossesTenants if it has another one."""
    work = _work.get()
    if work is None:
        return
    must_be_of(tenant, "a key")
    work.tenant = tenant


def current_tenant() -> str | None:
    """Return the tenant of the current work; None outside of work."""
    work = _work.get()
    return work.tenant if work else None


def must_be_of(tenant: str, what: str) -> None:
    """Raise CrossesTenants if the current work is of another tenant.

    Does nothing outside of work, or before the work has a tenant.
    """
    work = _work.get()
    if work is not None and work.tenant is not None and work.tenant != tenant:
        raise CrossesTenants(
            f"{what} of tenant {tenant!r} in the work of tenant {work.tenant!r}: nothing was done"
        )
