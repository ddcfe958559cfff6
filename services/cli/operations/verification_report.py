"""The lines and the exit code of `smallprint verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.cli.operations.faults import REPAIRS
from services.cli.operations.verify import VerificationResult
from services.cli.output.lines import count, plain

CLEAN, REPAIRABLE, LOST = 0, 1, 3


def lines(result: VerificationResult, done: Sequence[bool]) -> Iterator[dict[str, Any]]:
    """A line for each fault, with whether it was repaired, then one with the counts (null if
    unknown).
    """
    for fault, repaired in zip(result.faults, done, strict=True):
        yield {**fault.to_json(), "repaired": repaired}
    counts = {
        "documents": result.documents,
        "blobs": result.blobs,
        "bytes": result.bytes,
        "waiting": result.waiting,
        "unsent": result.unsent,
        "unhandled": result.unhandled,
        "in_progress": result.in_progress,
    }
    yield {
        **(counts if result.counted else dict.fromkeys(counts)),
        "complete": result.complete,
        "faults": len(result.faults),
        "repaired": sum(done),
        "notes": result.notes,
    }


def exit_code(result: VerificationResult, done: Sequence[bool]) -> int:
    """0 if no fault is left, 1 if all that are left can be repaired, 3 otherwise."""
    open_faults = [
        fault for fault, repaired in zip(result.faults, done, strict=True) if not repaired
    ]
    if not open_faults:
        return CLEAN
    return REPAIRABLE if all(fault.repair for fault in open_faults) else LOST


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
        yield f"  repaired: {REPAIRS[line['repair']]}"
    elif line["repair"]:
        yield f"  --repair: {REPAIRS[line['repair']]}"


def _counted(line: Mapping[str, Any]) -> str:
    """The checked and waiting numbers in words; empty if a database is damaged."""
    if line["documents"] is None:
        return "nothing else was checked"
    about = (
        "" if line["in_progress"] is None else f" about {count(line['in_progress'], 'document')}"
    )
    waiting = f"{count(line['waiting'], 'event')}{about}" if line["waiting"] else "nothing"
    return (
        f"{count(line['documents'], 'document')}, {count(line['blobs'], 'stored file')}"
        f" ({line['bytes']:,} bytes), {waiting} in progress"
    )


def _verdict(line: Mapping[str, Any]) -> str:
    """The conclusion about everything else."""
    if line["faults"]:
        verdict = f"{count(line['faults'], 'fault')}, {line['repaired']} of them repaired"
    elif line["complete"]:
        return "the rest agrees" if line["waiting"] else "everything is consistent"
    else:
        verdict = "the blobs agree"
    if line["complete"] or line["documents"] is None:
        return verdict
    return f"{verdict}; stuck documents and results were not checked"
