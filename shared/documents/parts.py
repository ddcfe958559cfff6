"""Documents that hold others: mails and archives, and what lies in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from shared.documents.sniffing import safe_name

_PATH_CHARACTERS = 1_000


@dataclass(frozen=True)
class Part:
    """One document out of a mail or archive: its bytes and, by content, its type.

    `name` is a label: the way to it within its archive, without anything that could lead elsewhere.
    """

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True)
class RefusedPart:
    """Something in a mail or archive that becomes no document: a code and a sentence."""

    name: str
    code: str
    reason: str


class Container(Protocol):
    """A mail or archive, opened."""

    text: str | None
    """What it says itself; None for an archive, which has no words of its own."""
    names: list[str]
    """Everything in it that is or should be a document, in its own order."""
    warnings: list[str]

    def part(self, index: int, most: int) -> bytes:
        """The bytes of one part, at most so many. Raises the UnreadableDocument that fits."""


def safe_path(name: str, default: str) -> str:
    """A name within an archive as a label: folders joined by `/`, each of them safe.

    Roots, drives and steps upwards are left out; at most a thousand characters, the last ones.
    """
    steps = [step for step in re.split(r"[/\\]", name) if step.strip(" .")]
    if steps and re.fullmatch(r"\s*[A-Za-z]:\s*", steps[0]):
        steps = steps[1:]
    path = "/".join(safe_name(step) for step in steps[-50:])
    while len(path) > _PATH_CHARACTERS and "/" in path:
        path = path.partition("/")[2]
    return path or default
