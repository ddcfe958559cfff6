"""The calibration of a specialist for one tenant, and the names of guarantees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TenantCalibration:
    """The effect of a tenant's decisions on a specialist."""

    data: bytes | None = None
    """The tenant's calibration set; None: the shipped one."""
    number: int = 0
    """Number of the set; 0 for the shipped one."""
    step: int = 0
    """Step on the ladder of thresholds (`shared/monitoring/sequential_test.py`)."""
    suspended: frozenset[str] = frozenset()
    """Categories of which nothing is accepted."""
    drifted: bool = False
    """Whether drift was detected."""


SHIPPED_CALIBRATION = TenantCalibration()
"""A tenant without decisions."""


def guarantee_name(source: str, max_wrong: float, level: float, belief: float) -> str:
    """Return the unique name of a guarantee.

    Args:
        source: version of the specialist, a plus sign, and the tenant's part, such as the number of
            its calibration.
        max_wrong: the risk.
        level: of confidence.
        belief: the acceptance threshold.
    """
    return f"{source} {max_wrong:g} {level:g} {belief:.6f}"


def version_and_level(name: str) -> tuple[str, float] | None:
    """Return the version and the confidence level in the name of a guarantee, if it is one."""
    parts = _parts(name)
    return (parts[0], float(parts[2][1])) if parts else None


def version_and_tenant_part(name: str) -> tuple[str, str] | None:
    """Return the version and the tenant's part in the name of a guarantee, if it is one."""
    parts = _parts(name)
    return parts[:2] if parts else None


def _parts(name: str) -> tuple[str, str, list[str]] | None:
    """Split a guarantee's name into version, tenant's part and numbers. None for other names."""
    source, *figures = name.rsplit(" ", 3)
    version, _, tenant_part = source.rpartition("+")
    return (version, tenant_part, figures) if version and len(figures) == 3 else None
