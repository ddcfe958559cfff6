"""What it costs to look at every statement: `python -m infra.bench.guard [ROUNDS]`.

The guard that keeps tenants apart (`shared.storage.tenants`) looks at each statement before a
database gets it. Here review's own queries, which find nothing, are put to two files of SQLite, of
which one has no guard, in turns; so what is measured is nearly all Python. Printed are microseconds
of the processor for each statement: the median of the rounds, of 400 statements each.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from services.review import store as review
from shared.storage import Store, tenants

ROUNDS = 15
EACH = 100
NOW = datetime(2026, 1, 31, tzinfo=UTC)
FILTERS = review.Filters(document="doc_1")


def ask(session: Any) -> None:
    """Four statements that requests make."""
    review.find_document(session, "default", "doc_1")
    review.find_decision(session, "default", "de_1")
    review.next_waiting(session, "default", FILTERS, ("it_1",), NOW)
    review.list_items(session, "default", FILTERS, NOW, limit=50)


def seconds(store: Store, before: Callable[[], None] = lambda: None) -> float:
    """Of the processor, for one statement."""
    with store.read() as session:
        began = time.process_time()
        for _ in range(EACH):
            before()
            ask(session)
        return (time.process_time() - began) / EACH / 4


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as scratch:
        stores = []
        for name in ("without", "with"):
            with mock.patch("shared.storage.engine.guard", tenants.guard if name == "with" else id):
                url = f"sqlite:///{Path(scratch) / name}.db"
                stores.append(Store(url, "review", review.MIGRATIONS))
            stores[-1].migrate()
            seconds(stores[-1])
        taken = [[seconds(store) for store in stores] for _ in range(rounds)]
        anew = [seconds(stores[1], tenants._forms.clear) for _ in range(3)]
        for store in stores:
            store.close()
    without, with_ = (statistics.median(one) * 1e6 for one in zip(*taken, strict=True))
    print(f"without the guard   {without:8.1f} us a statement")
    print(f"with it             {with_:8.1f} us, {with_ - without:+.1f}")
    print(f"a form's first time {statistics.median(anew) * 1e6:8.1f} us")


if __name__ == "__main__":
    main()
