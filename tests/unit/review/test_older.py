"""Results of a newer release are queued: fields that review does not know are passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.review.domain import read_clauses, read_findings
from services.review.signals import read_signals
from tests.unit.review.house import clause
from tests.unit.review.test_signals import SIGNAL

FINDING = {
    "id": "fd_1",
    "check": "income_sums",
    "confidence": 0.8,
    "cells": [{"statement": "income", "row": 0, "column": 0, "label": "Sales",
               "place": {"page": 1, "box": [1.0, 1.0, 2.0, 2.0]}}],
    "boxes": [{"page": 1, "x0": 1.0, "y0": 1.0, "x1": 2.0, "y1": 2.0}],
    "dismissed": {"document": "doc_0", "finding": "fd_0"},
}  # fmt: skip
CLAUSE = clause("1. Law. Delaware governs.", "Delaware governs.", "Governing Law", 0.8)


def newer(form: Any) -> Any:
    """The same with a field that nobody knows in every object of it."""
    if isinstance(form, dict):
        return {**{key: newer(value) for key, value in form.items()}, "since_then": {"a": 1}}
    return [newer(one) for one in form] if isinstance(form, list) else form


@pytest.mark.parametrize(
    ("read", "result"),
    [(read_clauses, CLAUSE), (read_findings, FINDING), (read_signals, SIGNAL)],
    ids=["clause", "finding", "signal"],
)
def test_a_newer_result_is_read_as_the_one_before(
    read: Callable[[bytes, str], list[Any]], result: dict[str, Any]
) -> None:
    """But for what triage says of a dismissal, which is kept as it is and only asked for."""
    (before,) = read(json.dumps([result]).encode(), "doc_1")
    (after,) = read(json.dumps([newer(result)]).encode(), "doc_1")
    if "dismissed" in result:
        assert after.dismissed
        after = after.model_copy(update={"dismissed": before.dismissed})
    assert after == before
