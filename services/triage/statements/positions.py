"""The position of a value in its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.documents.model.parsed_document import Box


@dataclass(frozen=True, slots=True)
class Position:
    """The position of one value: offsets into the text, and details of the format.

    Offsets are -1 without a text. `cell` names a cell of a workbook or table (`Income!B7`), `box`
    the rectangle on a PDF page, `element` the id of the element in (inline) XBRL.
    """

    page: int
    start: int = -1
    end: int = -1
    cell: str = ""
    box: Box | None = None
    element: str = ""

    def to_json(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"page": self.page}
        if self.end >= 0:
            parts |= {"start": self.start, "end": self.end}
        if self.cell:
            parts["cell"] = self.cell
        if self.element:
            parts["element"] = self.element
        if self.box:
            parts["box"] = [round(value, 2) for value in self.box[1:]]
        return parts

    @classmethod
    def of_json(cls, parts: Mapping[str, Any]) -> Self:
        page, box = int(parts["page"]), parts.get("box")
        return cls(
            page=page,
            start=parts.get("start", -1),
            end=parts.get("end", -1),
            cell=parts.get("cell", ""),
            box=Box(page, *map(float, box)) if box else None,
            element=parts.get("element", ""),
        )
