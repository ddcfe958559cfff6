"""Files that nobody else on the machine can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def private_files() -> Iterator[None]:
    """New files and folders of this process, and of those it starts, are their owner's alone:
    databases, documents and results hold the words of contracts.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
