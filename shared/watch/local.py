"""What holds for a specialist in one tenant alone, and the name of what is promised for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Local:
    """What holds for a specialist in one tenant alone, as came of people's decisions."""

    data: bytes | None = None
    """The calibration set that was made here; None: the one that came with the specialist."""
    number: int = 0
    """Of that set; 0 for the one that came."""
    step: int = 0
    """Of the ladder to which was tightened (`shared/watch/evidence.py`)."""
    doubted: frozenset[str] = frozenset()
    """Categories of which nothing is accepted."""
    drifted: bool = False
    """Whether the documents that come in are unlike those known."""


SHIPPED = Local()
"""Nobody has decided anything here."""


def promise_name(whose: str, max_wrong: float, level: float, belief: float) -> str:
    """Return what tells a promise from all others: whose it is, and what was promised.

    Args:
        whose: the version of the specialist, a plus sign, and what of the tenant's own it hangs on.
        max_wrong: the risk.
        level: of confidence.
        belief: from which on a result is accepted.
    """
    return f"{whose} {max_wrong:g} {level:g} {belief:.6f}"


def version_and_level(name: str) -> tuple[str, float] | None:
    """Return the version of the specialist and the confidence that a promise names; None if it is
    no name of one.
    """
    made = _parts(name)
    return (made[0], float(made[2][1])) if made else None


def version_and_own(name: str) -> tuple[str, str] | None:
    """Return the version of the specialist that a promise names, and what of the tenant's own it
    hangs on; None if it is no name of one.
    """
    made = _parts(name)
    return made[:2] if made else None


def _parts(name: str) -> tuple[str, str, list[str]] | None:
    """The version, what of the tenant's own, and the figures, as `promise_name` has put them."""
    whose, *figures = name.rsplit(" ", 3)
    version, _, own = whose.rpartition("+")
    return (version, own, figures) if version and len(figures) == 3 else None
