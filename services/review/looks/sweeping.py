"""What checks of a document showed goes with it, also where a program of the release before, which
knows of no such rows and works beside this one while it is rolled out, deletes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.review.looks.store import forget_shown, left
from shared.runtime.leftovers import Leftovers


class Sweeper(Leftovers):
    """Removes what checks showed of documents that are gone."""

    def left(self) -> Sequence[tuple[str, str]]:
        """See Leftovers."""
        with self.store.read() as session:
            return left(session)

    def remove(self, tenant: str, document_id: str) -> None:
        """See Leftovers."""
        with self.store.write() as session:
            forget_shown(session, tenant, document_id)
