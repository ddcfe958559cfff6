"""Mails and archives on the command line: one line each, with a line in it for each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.documents.files import sha256
from services.cli.output.lines import error_line
from shared.documents import CONTAINERS, Attachment, RefusedPart, sniff
from shared.documents.sandbox import Reader
from shared.errors import UnreadableDocument

ReadPart = Callable[[str, bytes], Mapping[str, Any]]
"""The line of one source without its parts. Raises SuiteError."""


class NoPartWorked(UnreadableDocument):
    """No part of an archive worked; `parts` has the line of each."""

    code = "no_part_worked"

    def __init__(self, source: str, parts: list[dict[str, Any]]) -> None:
        message = "it is empty"
        if parts:
            name = parts[0]["source"].removeprefix(f"{source}/")
            reason = parts[0]["error"]["detail"]
            message = f"its only part, {name}, failed: {reason}"
            if len(parts) > 1:
                message = f"none of its {len(parts)} parts worked. {name}: {reason}"
        super().__init__(message, document=source)
        self.parts = parts


@dataclass
class WithParts:
    """Handles one file with all its parts, and counts unpacked parts and bytes of all depths."""

    reader: Reader
    own: ReadPart
    number: int = 0
    size: int = 0

    def line(self, source: str, data: bytes, around: tuple[str, ...] = ()) -> dict[str, Any]:
        """The line of a file, with `parts` if it is a mail or archive.

        Raises NoPartWorked for an archive of which nothing worked, and the errors of `own`.
        """
        name = Path(source).name
        holds = sniff(data, name) in CONTAINERS
        line = dict(self.own(source, data))
        if not holds:
            return line
        within = (*around, sha256(data))
        parts = [
            self._part(f"{source}/{part.name}", part, within)
            for part in self.reader.unpack(data, name=name, depth=len(around))
        ]
        says_something = line.get("document", {}).get("pages")
        if not says_something and all("error" in part for part in parts):
            raise NoPartWorked(source, parts)
        return {**line, "parts": parts}

    def _part(
        self, source: str, part: Attachment | RefusedPart, around: tuple[str, ...]
    ) -> dict[str, Any]:
        if isinstance(part, RefusedPart):
            return {"source": source, "error": {"type": part.code, "detail": part.reason}}
        if refused := self._refusal(part, around):
            code, _, reason = refused.partition(": ")
            return {"source": source, "error": {"type": code, "detail": reason}}
        try:
            return self.line(source, part.data, around)
        except Exception as error:  # one bad part must not stop the others
            if getattr(error, "ends_all", False):
                raise
            return error_line(source, error)

    def _refusal(self, part: Attachment, around: tuple[str, ...]) -> str | None:
        """Why a part is not read, or None."""
        if sha256(part.data) in around:
            return "contains_itself: it is the same file that contains it"
        limits = self.reader.limits
        self.number, self.size = self.number + 1, self.size + len(part.data)
        if self.number > limits.max_parts or self.size > limits.max_unpacked:
            return (
                f"document_too_large: one file may contain at most {limits.max_parts:,} "
                f"documents with {limits.max_unpacked:,} bytes together (settings "
                "SMALLPRINT_INGEST_MAX_PARTS, SMALLPRINT_INGEST_MAX_UNPACKED)"
            )
        return None
