"""What is accepted of the others while checks put some categories in doubt.

A promise is for all categories together. Without those that were right most often the others may
be wrong more often than was promised, at the same threshold: so what is left is accepted from where
the same calibration set speaks for it alone. From where that is, is kept beside the evidence, as of
the alarm or the last document: it tells people, and does not route.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from shared.storage.watches import Kept
from shared.watch.evidence import accepted_from

LeftOf = Callable[[Collection[str]], float | None]
"""Says from which belief on is accepted without the categories in doubt, as `accepted_from` has it;
None where that is not known."""


def leaving(kept: Kept, left: float | None) -> Kept:
    """The watch once it is known from which belief on is accepted without the categories that are
    in doubt, as `accepted_from` has it.
    """
    watch = kept.watch
    if left is None or watch is None or not kept.doubted:
        return kept
    found = {"without": sorted(kept.doubted), "belief": left}
    return replace(kept, evidence={**(kept.evidence or watch.to_json()), "left": found})


def left_in(kept: Kept) -> float:
    """From which belief on that is; 0 where it is not known, or none is in doubt."""
    found = (kept.evidence or {}).get("left")
    if not found or not kept.doubted or found["without"] != sorted(kept.doubted):
        return 0.0
    return float(found["belief"])


def accepted_now(kept: Kept) -> float | None:
    """From which belief on is accepted now; None: nothing is, or nothing was promised."""
    watch = kept.watch
    return accepted_from(watch.belief, kept.step, left_in(kept)) if watch else None
