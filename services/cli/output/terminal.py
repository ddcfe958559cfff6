"""Tables and progress bars, by rich. Text from documents is printed as it is, never as markup.

rich is imported late, so that `--help` answers at once.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TextIO

_WIDEST = 1_000_000
"""Width of a table that is not cut, in characters."""
_LEAST_CUT = 16
"""Least width of the column that is cut, in characters."""


def width() -> int:
    """Characters of a line: those of the terminal; elsewhere a line has any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST


def table(
    rows: Sequence[Sequence[str]],
    *,
    heads: Sequence[str] = (),
    right: Collection[int] = (),
    styles: Mapping[int, str] | None = None,
    cut: int | None = None,
    wrapped: int | None = None,
    indent: int = 2,
) -> list[str]:
    """Rows as lines with aligned columns.

    Empty columns are left out. A terminal cuts one column to its width, but no other, and shows
    colours. Elsewhere text is whole.

    Args:
        rows: printable cells without line breaks, the same number in each row.
        heads: names of the columns, perhaps of several lines.
        right: numbers of the columns that are aligned to the right.
        styles: rich's styles of columns by their numbers.
        cut: number of the column that a terminal cuts; by default the last.
        wrapped: number of a column that a terminal breaks into lines of at most a third of its
            width.
        indent: spaces before each line.
    """
    if not rows:
        return []
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shows = sys.stdout.isatty()
    console = Console(file=io.StringIO(), force_terminal=shows, width=width())
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(heads))
    filled = [number for number in range(len(rows[0])) if any(row[number] for row in rows)]
    if cut is None:
        cut = filled[-1]
    if wrapped is not None:
        most = console.width // 3
        rows = [
            ["\n".join(wrap(cell, most)) if n == wrapped else cell for n, cell in enumerate(row)]
            for row in rows
        ]
    for number in filled:
        shown.add_column(
            Text(heads[number]) if heads else "",
            justify="right" if number in right else "left",
            no_wrap=number != cut,
            vertical="bottom",
            style=(styles or {}).get(number),
        )
    for row in rows:
        shown.add_row(*(Text(row[n], no_wrap=True, overflow="ellipsis") for n in filled))
    widths = {n: _widest(row[n] for row in [*rows, *([heads] if heads else [])]) for n in filled}
    widths[cut] = min(widths.get(cut, 0), _LEAST_CUT)
    console.width = max(console.width, sum(2 + widest for widest in widths.values()) + indent)
    with console.capture() as captured:
        console.print(shown, width=console.width - indent)
    return [f"{' ' * indent}{line}".rstrip() for line in captured.get().splitlines()]


def _widest(cells: Iterable[str]) -> int:
    """Columns of a terminal that the longest line of these cells takes."""
    from rich.cells import cell_len

    return max(cell_len(line) for cell in cells for line in [*cell.splitlines(), ""])


class ProgressBar:
    """A bar with the count, the rate, the time left and the current name, on one line.

    Args:
        total: number of things to do.
        stream: a terminal.
        phase: what happens to the things, such as `reading`.
    """

    def __init__(self, total: int, stream: TextIO, phase: str = "") -> None:
        from rich import progress
        from rich.console import Console
        from rich.text import Text

        class Rate(progress.ProgressColumn):
            """Things a second, or a minute if they are slow."""

            def render(self, task: progress.Task) -> Text:
                if not task.speed:
                    return Text()
                slow = task.speed < 1
                return Text(f"{task.speed * 60:.1f}/min" if slow else f"{task.speed:.1f}/s")

        self._progress = progress.Progress(
            *([progress.TextColumn(phase)] if phase else []),
            progress.MofNCompleteColumn(),
            progress.BarColumn(30),
            Rate(),
            progress.TimeRemainingColumn(compact=True),
            progress.TextColumn("{task.description}", markup=False),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._progress.add_task("", total=total)

    def show(self, name: str, done: int) -> None:
        """Show the number of things done, and the current one."""
        self._progress.update(self._task, completed=done, description=name)
        self._progress.start()

    def hide(self) -> None:
        """Clear the line, before other output."""
        self._progress.stop()
