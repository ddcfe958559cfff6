"""Show a tried or applied calibration to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.cli.output.lines import plain

WIDTH = 30
SIDES = "before", "after"


def calibration_rows(line: Mapping[str, Any]) -> Iterator[str]:
    """The calibration before and after, and the action."""
    if line["done"] in ("undone", "loosened"):
        yield plain(line["message"])
        return
    before, after = line["before"], line["after"]
    waiting = "" if line["waiting"] is None else f", {line['waiting']} wait"
    yield (
        f"{plain(line['adapter'])} {plain(line['version'])}, tenant {plain(line['tenant'])}: "
        f"{line['decided']} decisions in {line['documents']} documents with all results decided "
        f"({line['unfinished']} more in progress{waiting})"
    )
    yield f"at most {line['max_wrong']:.1%} wrong, with {line['level']:.0%} confidence"
    yield ""
    yield _row("", "in force", "refitted")
    yield _row(*_least(line))
    if line["categories"] > 1:
        yield _row("categories never accepted", *(_never(line, side) for side in SIDES))
    yield _row("accepted", _accepted(before), _accepted(after))
    yield _row("  of these decided", _decided(before), _decided(after))
    yield _row("expected to be wrong", _wrong(before), _wrong(after))
    yield _row("  of the accepted (95%)", _rate(before), _rate(after))
    yield ""
    if line["categories"] > 1:
        yield from _named(line)
    if line["no_guarantee_reason"]:
        yield plain(line["no_guarantee_reason"])
    yield plain(line["message"])


def _row(title: str, before: str, after: str) -> str:
    return f"{title:<{WIDTH}}{before:>24}{after:>24}".rstrip()


def _least(line: Mapping[str, Any]) -> tuple[str, str, str]:
    """The least accepted confidence if it is the same for all results, else the least belief."""
    same_for_all = any(line[f"confidence_{side}"] is not None for side in SIDES)
    name = "confidence" if same_for_all else "belief"
    before, after = (_belief(line[f"{name}_{side}"]) for side in SIDES)
    return f"accepted from {name}", before, after


def _never(line: Mapping[str, Any], side: str) -> str:
    names, every = line[f"never_{side}"], line["categories"]
    if names is None:
        return "unknown"
    return f"all {every}" if line[f"belief_{side}"] is None else f"{len(names)} of {every}"


def _named(line: Mapping[str, Any]) -> Iterator[str]:
    """Notes about categories without accepted results, and how long this lasts."""
    if before := line["never_before"]:
        yield (
            f"in force: none of {_quoted(before)} is accepted at any confidence. People review "
            "them until you apply a calibration that accepts some, or, after failed checks, until "
            "you run `smallprint calibrate loosen`"
        )
    if after := line["never_after"]:
        yield (
            f"refitted: none of {_quoted(after)} is accepted at any confidence, because by the "
            "decisions a higher confidence hardly means fewer errors. People review them until "
            "you apply a calibration with further decisions"
        )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{plain(name)}"' for name in names)


def _belief(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.1%}"


def _accepted(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "unknown"
    return f"{_about(one)}{one['accepted']:.0f} of {one['shown']:.0f}"


def _about(one: Mapping[str, Any]) -> str:
    """`about` for estimates: each checked sample also represents unchecked results."""
    return "" if one["accepted"] == one["checked"] else "about "


def _decided(one: Mapping[str, Any] | None) -> str:
    return "unknown" if one is None else f"{one['checked']}, {one['mistakes']} wrong"


def _wrong(one: Mapping[str, Any] | None) -> str:
    return "unknown" if one is None else f"{_about(one)}{one['wrong']:.0f}"


def _rate(one: Mapping[str, Any] | None) -> str:
    if one is None or not one["accepted"]:
        return "unknown"
    low, high = one["interval"]
    return f"{one['rate']:.1%} ({low:.1%} to {high:.1%})"
