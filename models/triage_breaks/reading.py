"""The share of errors found without the filings that a reader found to be wrong already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.files import read_config
from models.triage_breaks.curve import Companies, Prediction, Score, difference
from models.triage_breaks.injections import AS_DEVELOPMENT, OTHERS

FILE = "reading.toml"
SHARES = (0.01, 0.02)
"""Shares of false alarms: those that the filings with the highest risks decide."""
SLIP, CONVERSION = "slip", "conversion"
"""Verdicts on filings that are wrong, in the filing itself or in the data made of it."""
TYPES = {"nine types": tuple(AS_DEVELOPMENT), "all types": (*AS_DEVELOPMENT, *OTHERS)}


def wrong_filings(folder: Path) -> set[str]:
    """Return the filings that are wrong without an injected error."""
    verdicts = read_config(folder / FILE)
    return {*verdicts[SLIP], *verdicts[CONVERSION]}


def figures(folder: Path, some: Sequence[Prediction], score: Score) -> dict[str, Any]:
    """Return the found errors with all filings, without slips, and without all wrong filings.

    A filing is left out together with its injected copies.
    """
    verdicts: Mapping[str, Sequence[str]] = read_config(folder / FILE)
    left_out = {
        "all": set[str](),
        "no slips": set(verdicts[SLIP]),
        "none wrong": wrong_filings(folder),
    }
    rows = {name: _found(some, score, ids) for name, ids in left_out.items()}
    return {"verdicts": {name: len(ids) for name, ids in verdicts.items()}, "found": rows}


def _found(
    some: Sequence[Prediction], score: Score, left_out: set[str]
) -> dict[str, dict[str, list[list[float]]]]:
    """Return value and interval at each share, and the gain over all filings, by error types."""
    result = {}
    for name, types in TYPES.items():
        complete = Companies.of(some, score, types)
        rest = _of(complete.names, (p for p in some if p["id"] not in left_out), score, types)
        result[name] = {
            "found": [
                [float(value), *map(float, bounds)]
                for value, bounds in zip(rest.found(SHARES), rest.interval(SHARES), strict=True)
            ],
            "more": [list(difference(complete, rest, share)) for share in SHARES],
        }
    return result


def _of(
    names: Sequence[int], some: Iterable[Prediction], score: Score, types: Sequence[str]
) -> Companies:
    """Group risks by company, with empty groups for companies that have no filing left."""
    groups = Companies.of(some, score, types)
    risks = dict(zip(groups.names, groups.of_each, strict=True))
    empty = (np.zeros(0), np.zeros(0))
    return Companies(tuple(names), [risks.get(name, empty) for name in names])
