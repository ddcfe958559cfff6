"""What `smallprint verify` prints, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.cli.lines import plain
from shared.upkeep.faults import SAYS
from shared.upkeep.verify import Looked

CLEAN, REPAIRABLE, LOST = 0, 1, 3


def lines(looked: Looked, done: Sequence[bool]) -> Iterator[dict[str, Any]]:
    """A line for each fault, with whether it was put right; the last one has the counts, null where
    nothing was counted.
    """
    for fault, repaired in zip(looked.faults, done, strict=True):
        yield {**fault.to_json(), "repaired": repaired}
    counts = {
        "documents": looked.documents,
        "blobs": looked.blobs,
        "bytes": looked.bytes,
        "waiting": looked.waiting,
        "unsent": looked.unsent,
        "unhandled": looked.unhandled,
        "moving": looked.moving,
    }
    yield {
        **(counts if looked.counted else dict.fromkeys(counts)),
        "whole": looked.whole,
        "faults": len(looked.faults),
        "repaired": sum(done),
        "notes": looked.notes,
    }


def exit_code(looked: Looked, done: Sequence[bool]) -> int:
    """0 if nothing is left, 1 if what is left can be put right, 3 if not all of it can."""
    left = [fault for fault, repaired in zip(looked.faults, done, strict=True) if not repaired]
    if not left:
        return CLEAN
    return REPAIRABLE if all(fault.repair for fault in left) else LOST


def table(line: Mapping[str, Any]) -> Iterator[str]:
    """One line for a person."""
    if "kind" not in line:
        for note in line["notes"]:
            yield f"note: {plain(note)}"
        yield f"{_counted(line)}: {_verdict(line)}"
        return
    where = f" of {plain(line['tenant'])}" if line["tenant"] else ""
    yield f"{line['kind']}: {plain(line['detail'])}{where}"
    if line["repaired"]:
        yield f"  put right: {SAYS[line['repair']]}"
    elif line["repair"]:
        yield f"  --repair: {SAYS[line['repair']]}"


def _counted(line: Mapping[str, Any]) -> str:
    """What was looked at, and what is on its way. Nothing is known of it beside a database that is
    damaged.
    """
    if line["documents"] is None:
        return "nothing else was looked at"
    about = "" if line["moving"] is None else f" about {_many(line['moving'], 'document')}"
    way = f"{_many(line['waiting'], 'event')}{about}" if line["waiting"] else "nothing"
    return (
        f"{_many(line['documents'], 'document')}, {_many(line['blobs'], 'blob')} that they need"
        f" ({line['bytes']} bytes), {way} on the way"
    )


def _verdict(line: Mapping[str, Any]) -> str:
    """What that says of all else: of what is on its way nothing is said yet."""
    if line["faults"]:
        said = f"{_many(line['faults'], 'fault')}, {line['repaired']} of them put right"
    elif line["whole"]:
        return "the rest agrees" if line["waiting"] else "all of it agrees"
    else:
        said = "the blobs agree"
    if line["whole"] or line["documents"] is None:
        return said
    return f"{said}; stuck documents and results were not looked at"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
