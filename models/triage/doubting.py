"""The doubts of sound and spoiled filings as rows for a forest, each said to be right or wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.triage.abbreviated import shortened, spoiled
from models.triage.filings import Record, fold_of, read
from models.triage.finverbench import Shortened
from models.triage.injections import AS_DEVELOPMENT, HARD, OTHERS, Truth, all_sums, injected
from services.triage.doubts import COLUMNS, Doubt
from services.triage.experience import Experience, learn
from services.triage.raising import raised
from services.triage.relations import Sheet, sheets

Floats = NDArray[np.float32]
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Example:
    """One filing, sound or with one error."""

    id: str
    company: int
    truth: Truth | None
    rows: Floats = field(repr=False)  # [N, COLUMNS]
    right: NDArray[np.bool_] = field(repr=False)  # [N], whether the doubt names the error
    old: NDArray[np.bool_] = field(repr=False)  # [N], whether the sound filing raises it as well
    part: str = "own"
    """`own` for whole filings, `hard` and `dismissed` for more that are learned from alone,
    `headlines` for those of headlines alone, `corrected` for what its company put right later,
    `development` and `finverbench` for what is never learned from.
    """
    shown: bool = True
    """Whether the altered line is printed."""

    @property
    def fold(self) -> int:
        """The fold of its company."""
        return fold_of(self.company)


def concepts(record: Record) -> list[list[str]]:
    """The concept of every row, for learning alone."""
    return [[row.get("concept") or "" for row in s["rows"]] for s in record["statements"]]


def summed(pages: Sequence[Sheet]) -> list[Sheet]:
    """Find the sums of statements, once for all folds."""
    for sheet in pages:
        if sheet.statement.statement in ("balance_sheet", "income", "cash_flow"):
            _ = sheet.sums
    return list(pages)


def experiences(
    records: Sequence[Record], pages: Sequence[Sequence[Sheet]], folds: Sequence[int]
) -> dict[int, Experience]:
    """What the companies outside of each fold taught; under -1 what all of them did."""
    seen = [(r["cik"], p, concepts(r)) for r, p in zip(records, pages, strict=True)]
    return {
        fold: learn([item for item in seen if fold_of(item[0]) != fold]) for fold in (*folds, -1)
    }


def examples(
    record: Record, pages: Sequence[Sheet], experience: Experience, errors: Mapping[str, int]
) -> Iterator[Example]:
    """Yield a sound filing, and copies of it with an error each: so many of each sort."""
    sound = raised(pages, experience)
    places = {_place(pages, doubt) for doubt in sound}
    yield _example(record, pages, sound, None, places)
    known = all_sums(record)
    for sort, weights, seed in SORTS:
        part = "own" if sort != "hard" else sort
        for changed, truth in injected(record, errors[sort], weights, seed + record["id"], known):
            new = [
                old if before == after else sheet
                for old, sheet, before, after in zip(
                    pages,
                    sheets(read(changed)),
                    record["statements"],
                    changed["statements"],
                    strict=True,
                )
            ]
            found = _example(record, new, raised(new, experience), truth, places)
            yield replace(found, part=part)


SORTS = (("as_development", AS_DEVELOPMENT, ""), ("others", OTHERS, "other "),
         ("hard", HARD, "hard "))  # fmt: skip
"""Sorts of errors by their name in the config: the kinds with their weights, and a seed."""


def headlines(record: Record, experience: Experience, many: int) -> Iterator[Example]:
    """Yield the headlines of a sound filing, if it has them, and copies with an error each."""
    short = shortened(record, record["id"])
    if short is None:
        return
    pages = sheets(read(short))
    sound = raised(pages, experience)
    places = {_place(pages, doubt) for doubt in sound}
    yield replace(_example(short, pages, sound, None, places), part="headlines")
    for wrong, truth in spoiled(short, many, short["id"]):
        new = sheets(read(wrong))
        example = _example(wrong, new, raised(new, experience), truth, places)
        yield replace(example, part="headlines")


def described(
    record: Record, pages: Sequence[Sheet], experience: Experience, truth: Truth | None, part: str
) -> Example:
    """One filing as it is, whatever was done to it; it is never learned from."""
    found = _example(record, pages, raised(pages, experience), truth, set())
    return replace(found, part=part)


def published(instance: Shortened, experience: Experience) -> Example:
    """An instance of FinVerBench; it is never learned from."""
    about = {"id": instance.id, "cik": instance.company}
    pages = sheets(instance.filing)
    found = described(about, pages, experience, instance.truth, "finverbench")
    return replace(found, shown=instance.shown)


def _example(
    record: Record,
    pages: Sequence[Sheet],
    found: Sequence[Doubt],
    truth: Truth | None,
    known: set[Place],
) -> Example:
    rows = np.array([doubt.vector() for doubt in found], np.float32).reshape(-1, len(COLUMNS))
    right = np.array([truth is not None and names(pages, d, truth) for d in found], bool)
    old = np.array([_place(pages, doubt) in known for doubt in found], bool)
    return Example(record["id"], record["cik"], truth, rows, right, old)


def _place(pages: Sequence[Sheet], doubt: Doubt) -> Place:
    """What a doubt is about, the same where rows have moved: its line by its label."""
    sheet = pages[doubt.statement]
    row = doubt.rows[-1] if doubt.kind in ("gap", "missing") else doubt.row
    return doubt.kind, sheet.statement.statement, _line(sheet, row), doubt.column


def _line(sheet: Sheet, row: int | None) -> tuple[str, int] | None:
    """The label of a row, and how many rows above have the same one."""
    if row is None:
        return None
    label = sheet.rows[row].label
    return label, sum(above.label == label for above in sheet.rows[:row])


def names(pages: Sequence[Sheet], doubt: Doubt, truth: Truth) -> bool:
    """Whether a doubt names the error: its statement, its column, and its row or a sum with it."""
    if pages[doubt.statement].statement.statement != truth["statement"]:
        return False
    if truth["row"] is None:
        of_column = truth["type"] == "column_scale" and doubt.column == truth["column"]
        return doubt.row is None or of_column
    if doubt.row is None:
        return False
    if truth["type"] == "line_dropped":
        inside = doubt.rows[0] <= truth["row"] <= doubt.rows[-1]
        return doubt.kind in ("gap", "missing") and inside
    columns = {truth["column"], *truth.get("columns", ())}
    if truth["type"] == "column_swap":
        columns = set(range(pages[doubt.statement].width))
    rows = {truth["row"], *truth.get("rows", ())}
    return (doubt.column is None or doubt.column in columns) and bool(
        rows & {doubt.row, *doubt.rows}
    )
