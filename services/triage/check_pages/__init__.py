"""The page of each check (`<id>.md`), for people who decide about its findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_PART = re.compile(r"^## (.+?)\n+(.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CheckPage:
    """The first paragraph of each section of a check's page."""

    title: str
    compares: str  # what is compared
    possible_explanation: str  # why it may differ in a sound report
    how_to_verify: str  # how to verify it
    example: str


@cache
def page_of(check: str) -> CheckPage | None:
    """The page of a check; None for an unknown check."""
    path = FOLDER / f"{check}.md"
    if not check.isidentifier() or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    parts = {name: " ".join(body.split()) for name, body in _PART.findall(text)}
    title = text.partition("\n")[0].removeprefix("# ")
    return CheckPage(
        title=title,
        compares=parts["What it compares"],
        possible_explanation=parts["Why a sound filing may break it"],
        how_to_verify=parts["How to verify"],
        example=parts["Example"],
    )
