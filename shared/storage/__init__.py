"""Databases of a service: engine, migrations, the guard of tenants, locks, notifications."""

from shared.storage.engine import Store

__all__ = ["Store"]
