"""Every test in this folder runs on SQLite and on PostgreSQL."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.messaging.tables import Time
from shared.storage import Store
from tests.support.postgres import Servers

MIGRATIONS = Path(__file__).parent / "migrations"
NAMES = ("sqlite", "postgresql")
NOTE = Table(
    "note",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("text", String(200)),
    Column("number", Integer, default=0),
    Column("made", Time),
)


@pytest.fixture(params=NAMES)
def url(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return servers.database()


@pytest.fixture
def empty_store(url: str) -> Iterator[Store]:
    store = Store(url, "extraction", MIGRATIONS)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: Store) -> Store:
    empty_store.migrate()
    return empty_store


@pytest.fixture
def note() -> Table:
    return NOTE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        if "contract/store/" not in report.nodeid or report.when != "call":
            continue
        with_what = report.nodeid.partition("[")[2].rstrip("]").split("-")
        passed.update(name for name in NAMES if name in with_what)
        passed["alone"] += "test_postgres.py" in report.nodeid
    if passed:
        counts = ", ".join(f"{name} {passed[name]}" for name in NAMES)
        terminalreporter.write_line(
            f"store contract, tests passed: {counts}, and {passed['alone']} of PostgreSQL"
        )
