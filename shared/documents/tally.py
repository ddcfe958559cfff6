"""What an office document holds beside the text that it shows: counted first, then said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from shared.documents.flow import Flow

CHANGES = ("insertion", "deletion", "move")
NOT_READ = ("chart", "diagram", "embedded object", "embedded document")


@dataclass
class Tally:
    """What was met in a document that its text does not show, by what it is."""

    found: Counter[str] = field(default_factory=Counter)
    last_change: tuple[str, str] | None = None

    def change(self, kind: str, author: str) -> None:
        """A tracked change; one that goes on where the last ended is the same."""
        if self.last_change != (kind, author):
            self.found[kind] += 1
        self.last_change = (kind, author)

    def warn(self, flow: Flow) -> None:
        """Say all of it among the warnings."""
        changes = [counted(self.found[kind], kind) for kind in CHANGES if self.found[kind]]
        if changes:
            flow.warn(
                f"it has tracked changes ({', '.join(changes)}): read as if all were accepted"
            )
        if comments := self.found["comment"]:
            flow.warn(f"{counted(comments, 'comment')} in it: not part of the text")
        if hidden := self.found["hidden character"]:
            flow.warn(f"hidden text in it ({counted(hidden, 'character')}): left out")
        if self.found["macros"]:
            flow.warn("macros in it: not run")
        for kind in NOT_READ:
            if self.found[kind]:
                flow.warn(f"{counted(self.found[kind], kind)} in it: not read")


def counted(number: int, what: str) -> str:
    """`1 comment`, `2 comments`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
