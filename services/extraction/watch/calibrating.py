"""What people decided about clauses, for `smallprint calibrate` (`shared/watch/calibrating.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.extraction.domain import FoundClause, Pass
from shared.errors import InvalidRequest
from shared.guarantee import promise, read_calibration
from shared.inference import Specialist
from shared.policy import RiskRules
from shared.storage.watches import Drawn
from shared.watch.calibrating import Refit, Whose, compared, stated
from shared.watch.local import Local
from shared.watch.refitting import Decided, refitted


def complete(
    documents: Iterable[tuple[str, Sequence[Pass], Sequence[FoundClause]]],
    decided: Sequence[Drawn],
    adapter: str,
    version: str,
    usual: float,
) -> tuple[list[Decided], int]:
    """Return what was decided in documents of which all is, and how many others have something.

    Args:
        documents: the id of each, who read it, and all its clauses as they are stored.
        decided: what people decided about clauses of this version.
        adapter: the specialist.
        version: of it.
        usual: the confidence above which it shows clauses where no share of missed ones is stated;
            nothing is learned of the others, for they are never accepted.
    """
    known = {one.result_id: one for one in decided}
    found, unfinished = [], 0
    for document, passes, clauses in documents:
        if not any((one.adapter, one.version) == (adapter, version) for one in passes):
            continue
        mine = [c for c in clauses if c.adapter == adapter and c.confidence > usual]
        asked = [c for c in mine if c.route != "accept"]
        answered = [known[c.id] for c in asked if c.id in known]
        if len(answered) < len(asked):
            unfinished += bool(answered)
            continue
        found += [
            Decided(document, one.category, one.confidence, bool(one.wrong), 1.0 / one.share)
            for one in answered
        ]
    return found, unfinished


def refit(
    expert: Specialist,
    local: Local,
    rules: RiskRules,
    found: Sequence[Decided],
    unfinished: int,
    with_shipped: bool,
) -> Refit:
    """Fit lines and choose a threshold from what was decided; what is in force stands beside it.

    Args:
        expert: the specialist.
        local: what holds for it in the tenant.
        rules: of the tenant, with a stated risk.
        found: what was decided.
        unfinished: documents of which not all is decided.
        with_shipped: also count what came with the specialist, as if it were of the same kind.

    Raises:
        InvalidRequest: no risk is stated, nothing is decided, or nothing came to be counted too.
    """
    risk = stated(rules.max_wrong, rules.level, rules.always_person)
    name, version = expert.manifest.name, expert.manifest.version
    if not found:
        raise InvalidRequest(
            f"no document that {name} {version} read is decided as a whole: decide all that waits "
            "of some"
        )
    data = local.data or expert.guarantee
    now = read_calibration(data) if data else None
    new = refitted(expert.labels, now, found)
    if with_shipped and expert.guarantee is None:
        raise InvalidRequest(f"{name} came with no calibration set to count")
    shipped = read_calibration(expert.guarantee) if expert.guarantee else None
    was = promise(now, risk.max_wrong, risk.level, risk.always_person) if now else None
    whose = Whose(name, version, new.families, unfinished)
    return compared(whose, risk, local, found, new, now, was, shipped, with_shipped)
