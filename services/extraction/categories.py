"""Definitions of categories for people and frontier models.

Sources: the category descriptions of CUAD v1 for its 41 categories (The Atticus Project, CC BY
4.0); the annotation scheme of CLAUDETTE (Galassi et al., 2024) for the nine kinds of unfair terms,
rephrased.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

DEFINITIONS = Path(__file__).with_name("categories.json")


@cache
def known_definitions() -> Mapping[str, str]:
    """The shipped definitions, by category."""
    return dict(json.loads(DEFINITIONS.read_text("utf-8")))


def definitions_of(
    categories: Iterable[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A definition for each category: the given one, the shipped one, or its name."""
    known = {**known_definitions(), **(given or {})}
    return {category: known.get(category, category) for category in categories}
