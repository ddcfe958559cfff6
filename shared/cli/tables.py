"""Results as calm tables for a person at a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.cli.lines import plain

DISCLAIMER = "smallprint points at passages and figures; it gives no legal or audit advice."


def clauses(line: Mapping[str, Any]) -> Iterator[str]:
    """A document's clauses: category, page, confidence, and the beginning of the text.

    What lies in a mail or archive follows it.
    """
    if line.get("parts") and not line["document"]["pages"]:
        yield f"{plain(line['source'])}  ({_count(len(line['parts']), 'part')})"
        yield ""
    else:
        yield from _own_clauses(line)
    yield from _of_parts(line, clauses)


def _own_clauses(line: Mapping[str, Any]) -> Iterator[str]:
    document, model = line["document"], line["model"]
    pages = _count(document["pages"], "page")
    failed = document["failed_pages"]
    lost = f", {len(failed)} of them unreadable" if failed else ""
    seconds = line["timings"]["total"]
    yield f"{plain(line['source'])}  ({pages}{lost}, {seconds:.1f} s)"
    for warning in line["warnings"]:
        yield f"  ! {plain(warning)}"
    rows = [
        (c["category"], f"p. {c['page']}", f"{c['confidence']:.2f}", plain(c["text"]))
        for c in line["clauses"]
    ]
    yield from _aligned(rows)
    found = _count(len(rows), "clause")
    yield f"  {found} by {model['adapter']} {model['version']}"
    yield ""


def uploaded(line: Mapping[str, Any]) -> Iterator[str]:
    """A document that was uploaded: where to find it."""
    yield f"{plain(line['source'])}  {line['id']}  ({line['state']})"


def findings(line: Mapping[str, Any]) -> Iterator[str]:
    """A filing's findings: check, place, confidence, and what is wrong.

    Of a mail or archive, and of a file of several filings in one, those of each.
    """
    if "parts" in line:
        yield f"{plain(line['source'])}  ({_count(len(line['parts']), 'part')})"
        yield ""
        yield from _of_parts(line, findings)
        return
    if "filings" in line:
        for filing in line["filings"]:
            yield from findings({**filing, "source": line["source"]})
        return
    if "error" in line:
        yield f"! {plain(line['source'])}: {plain(line['error']['detail'])}"
        return
    name = plain(line["source"])
    own = f"  {plain(str(line['id']))}" if line.get("id") else ""
    verdict = "flagged" if line["flagged"] else "nothing to flag"
    yield f"{name}{own}  ({verdict}, risk {line['risk']:.2f})"
    rows = [
        (f["check"], str(f["statement"] or ""), f"{f['confidence']:.2f}", plain(f["message"]))
        for f in line["findings"]
    ]
    yield from _aligned(rows)
    yield ""


def _of_parts(
    line: Mapping[str, Any], table: Callable[[Mapping[str, Any]], Iterator[str]]
) -> Iterator[str]:
    for part in line.get("parts", ()):
        if "error" in part:
            yield f"! {plain(part['source'])}: {plain(part['error']['detail'])}"
        else:
            yield from table(part)


def _aligned(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    if not rows:
        return
    first, second, third = (max(len(row[i]) for row in rows) for i in range(3))
    room = max(20, shutil.get_terminal_size((100, 24)).columns - first - second - third - 9)
    for one, two, three, text in rows:
        shown = text if len(text) <= room else text[: room - 1] + "…"
        yield f"  {one:<{first}}  {two:<{second}}  {three:>{third}}  {shown}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
