"""Fair turns of tenants: next is the one that was served longest ago."""

from __future__ import annotations

import itertools


def tenant_of(key: str) -> str:
    """Return the tenant of a key `tenant/document id`."""
    return key.partition("/")[0]


class FairScheduler:
    """Remembers when each tenant was last served."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._count = itertools.count(1)

    def of(self, tenant: str) -> int:
        """Return the number of the tenant's last turn; 0 before the first."""
        return self._served.get(tenant, 0)

    def take(self, tenant: str) -> None:
        """Record a turn of the tenant."""
        self._served[tenant] = next(self._count)
