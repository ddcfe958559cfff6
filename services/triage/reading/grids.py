"""Tables of documents whose reading has cells: workbooks, HTML, CSV, office documents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from services.triage.places import Place
from services.triage.reading.table import Table, TableCell
from shared.documents.cells import cell_of
from shared.documents.reading import Reading

ABOVE = 1_500
"""Characters above a table that may say what it is."""


def tables_of_cells(reading: Reading) -> Iterator[Table]:
    """Every table in the order of the text; a table within a table comes apart."""
    names = {page.number: page.name for page in reading.pages}
    end = 0
    cells = (cell_of(record) for record in reading.cells)
    for (page, _), group in groupby(cells, key=lambda cell: (cell.page, cell.table)):
        found = list(group)
        before = reading.text[max(end, found[0].start - ABOVE) : found[0].start]
        end = found[-1].end
        where = reading.name_of(found[0]).removesuffix(found[0].address)
        yield Table(
            cells=tuple(
                TableCell(
                    row=cell.row,
                    left=cell.column,
                    right=cell.column + cell.columns,
                    text=reading.text[cell.start : cell.end],
                    place=Place(page, cell.start, cell.end, cell=where + cell.address),
                )
                for cell in found
            ),
            before=before,
            page=page,
            name=names.get(page, ""),
        )
