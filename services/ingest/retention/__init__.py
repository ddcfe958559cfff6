"""Retention rules by tenant and kind, and tombstones of deleted documents."""
