"""Old lines of the audit trail are removed by a job of every service."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from services.extraction.store import MIGRATIONS
from shared.audit import operator, record, trail
from shared.audit.chain import verify
from shared.runtime.audit_retention import AuditRetention
from shared.storage import Store


def test_lines_older_than_the_setting_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'one.db'}", "extraction", MIGRATIONS)) as store:
        store.migrate()
        now = datetime.now(UTC)
        for time in (now - timedelta(days=7), now):
            clock = SimpleNamespace(now=lambda _zone, time=time: time)
            monkeypatch.setattr(trail, "datetime", clock)
            for tenant in ("acme", "default"):
                with store.write() as session:
                    record(session, operator(tenant), "change")
        for _ in range(2):
            AuditRetention(store, days=3).work(threading.Event())
        with store.read() as session:
            kept = select(trail.audit.c.tenant, trail.audit.c.number, trail.audit.c.action)
            assert [
                tuple(row)
                for row in session.execute(
                    kept.order_by(trail.audit.c.tenant, trail.audit.c.number)
                )
            ] == [
                *(("acme", 2, "change"), ("acme", 3, "checkpoint")),
                *(("default", 2, "change"), ("default", 3, "checkpoint")),
            ]
        with store.read() as session:
            assert [(found.lines, found.problem) for found in verify(session)] == [(2, None)] * 2
