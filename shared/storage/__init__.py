"""Databases of a service: engine, migrations, tenant isolation, locks, notifications."""

from shared.storage.engine import Store

__all__ = ["Store"]
