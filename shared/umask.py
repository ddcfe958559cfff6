"""Files that nobody else on the machine can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def private_files() -> Iterator[None]:
    """Keep new files of this process and its children private to their owner. Databases, documents
    and results hold the words of contracts.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
