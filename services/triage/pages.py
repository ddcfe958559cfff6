"""The page of each check (`checks/<id>.md`), for those who decide about what it found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "checks"
_PART = re.compile(r"^## (.+?)\n+(.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class CheckPage:
    """What is said of a check in one paragraph each."""

    title: str
    compares: str
    """What is held against what."""
    lawful: str
    """Why it may break in a sound report."""
    settle: str
    """What would settle it."""
    example: str


@cache
def page_of(check: str) -> CheckPage | None:
    """The page of a check; None for a check that this release doesn't have."""
    path = FOLDER / f"{check}.md"
    if not check.isidentifier() or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    parts = {name: " ".join(body.split()) for name, body in _PART.findall(text)}
    title = text.partition("\n")[0].removeprefix("# ")
    return CheckPage(
        title=title,
        compares=parts["What it compares"],
        lawful=parts["Why it may break lawfully"],
        settle=parts["What would settle it"],
        example=parts["Example"],
    )
