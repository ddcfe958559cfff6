"""A cell of a statement with its label and its position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from services.triage.statements.model import Statement
from services.triage.statements.positions import Position


@dataclass(frozen=True, slots=True)
class NamedCell:
    """A cell that a finding names: indices into the filing's own arrays, and its position."""

    statement: str
    row: int
    column: int
    label: str
    position: Position | None = None

    @classmethod
    def at(cls, statement: Statement, row: int, column: int) -> Self:
        """The cell of a statement."""
        line = statement.rows[row]
        return cls(statement.statement, row, column, line.label, line.position(column))

    def to_json(self) -> dict[str, Any]:
        named = {key: getattr(self, key) for key in _OF_CELL}
        return {**named, "place": self.position and self.position.to_json()}

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        position = parts["place"]
        named = {key: parts[key] for key in _OF_CELL}
        return cls(**named, position=Position.of_json(position) if position else None)


_OF_CELL = ("statement", "row", "column", "label")
