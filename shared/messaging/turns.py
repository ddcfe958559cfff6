"""Tenants take turns: next is the one that was served longest ago, whatever others have sent."""

from __future__ import annotations

import itertools


def tenant_of(key: str) -> str:
    """Whose message it is: keys are `tenant/document id`."""
    return key.partition("/")[0]


class FairScheduler:
    """When each tenant was last served. Whoever never was comes first."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._count = itertools.count(1)

    def of(self, tenant: str) -> int:
        """A number that is the smaller, the longer ago it was; 0 for never."""
        return self._served.get(tenant, 0)

    def take(self, tenant: str) -> None:
        """The tenant is served now."""
        self._served[tenant] = next(self._count)
