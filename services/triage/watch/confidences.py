"""From which confidence on findings are accepted, as people are told it: they see the confidence of
a finding, and not how much it is believed (`Line` in `guarantee.py`).
"""

from __future__ import annotations

from services.triage.guarantee import line_of
from services.triage.risk import NAME, Judge
from services.triage.watch.store import Watches
from shared.storage.watches import Kept
from shared.watch.local import version_and_own
from shared.watch.watching import ConfidenceOf


def confidence_of(watches: Watches, kept: Kept, judge: Judge | None) -> ConfidenceOf | None:
    """Return what says from which confidence on a finding is believed so much, by the line of the
    promise that is watched; None where that is not known: nothing was promised, or what came with
    another version of the judge has promised it.

    Args:
        watches: of the tenant.
        kept: the watch.
        judge: that is installed; None: rules.
    """
    made = version_and_own(kept.promise)
    if made is None:
        return None
    version, own = made
    number, _, broken = own.partition("/")  # as `Promise.named` has it
    if broken:
        if judge is None or judge.guarantee is None or judge.version != version:
            return None
        return line_of(judge.guarantee, None, float(broken)).confidence_of
    mine = [one.data for one in watches.calibrated(NAME) if one.number == int(number)]
    return line_of(None, mine[0], None).confidence_of if mine else None
