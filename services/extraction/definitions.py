"""What each category asks, in words that a person or another model understands.

Source of those of the 41 categories: the category descriptions of CUAD v1 (The Atticus Project,
CC BY 4.0). The nine kinds of unfair terms follow the annotation scheme of CLAUDETTE (Galassi et
al., 2024), in our words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

DEFINITIONS = Path(__file__).with_name("definitions.json")


@cache
def known_definitions() -> Mapping[str, str]:
    """The definitions that came along, by category."""
    return dict(json.loads(DEFINITIONS.read_text("utf-8")))


def definitions_of(
    categories: Iterable[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A definition for each category: one that is given, else the one that came along, else its
    name, which is all that is known of a category that somebody taught.
    """
    known = {**known_definitions(), **(given or {})}
    return {category: known.get(category, category) for category in categories}
