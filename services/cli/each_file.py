"""A command's work on its files, one after another; one that fails costs no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from shared.cli.lines import Lines, OutputClosed, error_line


def each_file(
    paths: Sequence[str],
    lines: Lines,
    work: Callable[[str], Iterable[Mapping[str, Any]]],
) -> None:
    """Print what `work` makes of each file, in order; a file that fails does not stop the next."""
    from shared.cli.progress import Progress

    with Progress(len(paths)) as progress:
        for path in paths:
            progress.at(path)
            for line in _with_errors(path, work):
                progress.clear()
                lines.result(line)
            progress.step()


def _with_errors(
    path: str, work: Callable[[str], Iterable[Mapping[str, Any]]]
) -> Iterator[Mapping[str, Any]]:
    from shared.cli.batch import CannotStart

    try:
        yield from work(path)
    except (OutputClosed, CannotStart):
        raise  # not this file's fault: every other would fail as well
    except Exception as error:  # noqa: BLE001 - one bad file must not cost the others
        yield error_line(path, error)
