"""The suspects of sound and spoiled filings as rows for a forest, each right or wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.triage_breaks.abbreviated import shortened, spoiled
from models.triage_breaks.filings import Record, fold_of, read
from models.triage_breaks.finverbench import Shortened
from models.triage_breaks.injections import AS_DEVELOPMENT, HARD, OTHERS, Truth, all_sums, injected
from models.triage_breaks.pattern_learning import learn
from services.triage.checks.suspect_generation import find_suspects
from services.triage.checks.suspects import COLUMNS, Suspect
from services.triage.relations.learned_sums import LearnedPatterns
from services.triage.relations.relations import StatementView, statement_views

Floats = NDArray[np.float32]
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Example:
    """One filing, sound or with one error."""

    id: str
    company: int
    truth: Truth | None
    rows: Floats = field(repr=False)  # [N, COLUMNS]
    right: NDArray[np.bool_] = field(repr=False)  # [N], whether the suspect names the error
    old: NDArray[np.bool_] = field(repr=False)  # [N], whether the sound filing has it as well
    part: str = "own"
    """`own`: whole filings. `hard` and `dismissed`: for training alone. `headlines`: shortened
    ones. `corrected`: errors that companies corrected. `development` and `finverbench`: never
    trained on.
    """
    shown: bool = True

    @property
    def fold(self) -> int:
        return fold_of(self.company)


def concepts(record: Record) -> list[list[str]]:
    """Return the concept of every row, for training alone."""
    return [[row.get("concept") or "" for row in s["rows"]] for s in record["statements"]]


def summed(pages: Sequence[StatementView]) -> list[StatementView]:
    """Find the sums of statements once for all folds."""
    for sheet in pages:
        if sheet.statement.statement in ("balance_sheet", "income", "cash_flow"):
            _ = sheet.sums
    return list(pages)


def experiences(
    records: Sequence[Record], pages: Sequence[Sequence[StatementView]], folds: Sequence[int]
) -> dict[int, LearnedPatterns]:
    """Return the patterns learned from companies outside each fold; under -1 from all."""
    seen = [(r["cik"], p, concepts(r)) for r, p in zip(records, pages, strict=True)]
    return {
        fold: learn([item for item in seen if fold_of(item[0]) != fold]) for fold in (*folds, -1)
    }


def examples(
    record: Record,
    pages: Sequence[StatementView],
    patterns: LearnedPatterns,
    errors: Mapping[str, int],
) -> Iterator[Example]:
    """Yield a sound filing, and copies with an error each: this many of each sort."""
    sound = find_suspects(pages, patterns)
    places = {_place(pages, doubt) for doubt in sound}
    yield _example(record, pages, sound, None, places)
    found_sums = all_sums(record)
    for sort, weights, seed in SORTS:
        part = "own" if sort != "hard" else sort
        made = injected(record, errors[sort], weights, seed + record["id"], found_sums)
        for changed, truth in made:
            views = statement_views(read(changed))
            pairs = zip(record["statements"], changed["statements"], strict=True)
            same = [before == after for before, after in pairs]
            new = [old if s else view for old, view, s in zip(pages, views, same, strict=True)]
            result = _example(record, new, find_suspects(new, patterns), truth, places)
            yield replace(result, part=part)


SORTS = (("as_development", AS_DEVELOPMENT, ""), ("others", OTHERS, "other "),
         ("hard", HARD, "hard "))  # fmt: skip
"""Sorts of errors by their name in the config: types with weights, and a seed."""


def headlines(record: Record, patterns: LearnedPatterns, many: int) -> Iterator[Example]:
    """Yield the headlines of a sound filing, if it has them, and copies with an error each."""
    short = shortened(record, record["id"])
    if short is None:
        return
    pages = statement_views(read(short))
    sound = find_suspects(pages, patterns)
    places = {_place(pages, doubt) for doubt in sound}
    yield replace(_example(short, pages, sound, None, places), part="headlines")
    for wrong, truth in spoiled(short, many, short["id"]):
        new = statement_views(read(wrong))
        example = _example(wrong, new, find_suspects(new, patterns), truth, places)
        yield replace(example, part="headlines")


def described(
    record: Record,
    pages: Sequence[StatementView],
    patterns: LearnedPatterns,
    truth: Truth | None,
    part: str,
) -> Example:
    """Return one filing unchanged; it is never trained on."""
    result = _example(record, pages, find_suspects(pages, patterns), truth, set())
    return replace(result, part=part)


def published(instance: Shortened, patterns: LearnedPatterns) -> Example:
    """Return an instance of FinVerBench; it is never trained on."""
    about = {"id": instance.id, "cik": instance.company}
    pages = statement_views(instance.filing)
    result = described(about, pages, patterns, instance.truth, "finverbench")
    return replace(result, shown=instance.shown)


def _example(
    record: Record,
    pages: Sequence[StatementView],
    result: Sequence[Suspect],
    truth: Truth | None,
    existing: set[Place],
) -> Example:
    rows = np.array([doubt.vector() for doubt in result], np.float32).reshape(-1, len(COLUMNS))
    right = np.array([truth is not None and names(pages, d, truth) for d in result], bool)
    old = np.array([_place(pages, doubt) in existing for doubt in result], bool)
    return Example(record["id"], record["cik"], truth, rows, right, old)


def _place(pages: Sequence[StatementView], doubt: Suspect) -> Place:
    """Return the position of a suspect by labels, independent of row numbers."""
    sheet = pages[doubt.statement]
    row = doubt.rows[-1] if doubt.kind in ("gap", "missing") else doubt.row
    return doubt.kind, sheet.statement.statement, _line(sheet, row), doubt.column


def _line(sheet: StatementView, row: int | None) -> tuple[str, int] | None:
    """Return the label of a row, and the number of rows above with the same one."""
    if row is None:
        return None
    label = sheet.rows[row].label
    return label, sum(above.label == label for above in sheet.rows[:row])


def names(pages: Sequence[StatementView], doubt: Suspect, truth: Truth) -> bool:
    """Return whether a suspect names the error: statement, column, and row or a sum with it."""
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
    columns = {None, truth["column"], *truth.get("columns", ())}
    if truth["type"] == "column_swap":
        columns |= set(range(pages[doubt.statement].width))
    rows = {truth["row"], *truth.get("rows", ())}
    return doubt.column in columns and bool(rows & {doubt.row, *doubt.rows})
