"""Who else has a blob of a deleted document: older programs wrote some whose bytes do not say
whose they are, so that documents of the same text or the same figures share them.

What is written since names its document or a result of it, so that nobody has to be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Table, Text, cast, or_, select
from sqlalchemy.orm import Session

from shared.storage.locks import lock

TOGETHER = 200
"""Hashes or documents of one query: SQLite takes expressions of 1,000 parts."""


def others_with(
    session: Session, rows: Table, tenant: str, document_id: str, hashes: Collection[str]
) -> list[str]:
    """The other documents of a tenant that have one of some blobs.

    The database goes through all rows of the tenant and gives those alone (20,000 take 0.2 s for
    three hashes on SQLite): to be asked where nobody waits for the transaction.

    Args:
        rows: a table with `tenant`, `document_id` and `blobs`, a JSON list of references.
        hashes: of the blobs; of none nothing is asked.
    """
    found: set[str] = set()
    for some in _few(hashes):
        noted = or_(*(cast(rows.c.blobs, Text).contains(one) for one in some))
        mine = rows.c.tenant == tenant, rows.c.document_id != document_id
        found |= set(session.execute(select(rows.c.document_id).where(*mine, noted)).scalars())
    return sorted(found)


def held_by(session: Session, rows: Table, tenant: str, documents: Collection[str]) -> set[str]:
    """Hashes of all blobs that some documents still have. Of two that are deleted at the same time
    the second sees that the first is gone: called last in a transaction, behind all other locks.
    """
    held: set[str] = set()
    if documents:
        lock(session, f"shared blobs of {tenant}")
    for some in _few(documents):
        mine = rows.c.tenant == tenant, rows.c.document_id.in_(some)
        for blobs in session.execute(select(rows.c.blobs).where(*mine)).scalars():
            held |= {ref["sha256"] for ref in blobs}
    return held


def _few(names: Collection[str]) -> Iterator[list[str]]:
    every = sorted(names)
    for first in range(0, len(every), TOGETHER):
        yield every[first : first + TOGETHER]
