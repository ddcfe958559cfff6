"""Who else has a blob of a deleted document: older programs wrote some whose bytes do not say
whose they are, so that documents of the same text or the same figures share them.

What is written since names its document or a result of it, so that nobody has to be asked.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, Text, cast, select
from sqlalchemy.orm import Session

from shared.events import BlobRef
from shared.storage.locks import lock

TOGETHER = 200
"""Documents of one query: SQLite takes expressions of 1,000 parts."""
_HASH = re.compile(r"[0-9a-f]{64}")


def noted(refs: Collection[BlobRef], own: Collection[str]) -> list[dict[str, Any]]:
    """Blobs as the row of their document has them. Those of some hashes are marked as ones that no
    other document can have; older programs pass that over and leave it out: then others are looked
    for.
    """
    return [
        {**ref.model_dump(), "own": True} if ref.sha256 in own else ref.model_dump() for ref in refs
    ]


def own_of(blobs: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Hashes of those that are marked so."""
    return frozenset(ref["sha256"] for ref in blobs if ref.get("own"))


def others_with(
    session: Session, rows: Table, tenant: str, document_id: str, hashes: Collection[str]
) -> list[str]:
    """The other documents of a tenant that have one of some blobs.

    All rows of the tenant are gone through, a few at a time: to be asked where nobody waits for
    the transaction.

    Args:
        rows: a table with `tenant`, `document_id` and `blobs`, a JSON list of references.
        hashes: of the blobs; of none nothing is asked.
    """
    wanted = set(hashes)
    if not wanted:
        return []
    mine = rows.c.tenant == tenant, rows.c.document_id != document_id
    query = select(rows.c.document_id, cast(rows.c.blobs, Text)).where(*mine)
    every = session.execute(query.execution_options(yield_per=500))
    return sorted(name for name, blobs in every if not wanted.isdisjoint(_HASH.findall(blobs)))


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
