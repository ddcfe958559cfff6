"""The roles that infra/postgres/databases.sh makes, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy.engine import make_url

from services.cli.deployment.stores import migrations
from shared.storage import Store
from tests.architecture.source import SERVICES
from tests.support.postgres import Postgres, server

FORBIDDEN = (
    "CREATE ROLE spy",
    "CREATE DATABASE spy",
    "ALTER ROLE {role} SUPERUSER",
    "ALTER ROLE {role} CREATEDB",
    "ALTER ROLE {other} PASSWORD 'known'",
    "ALTER DATABASE {other} OWNER TO {role}",
    "GRANT {other} TO {role}",
    "SET ROLE {other}",
    "SET SESSION AUTHORIZATION {other}",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "DROP DATABASE {other}",
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with server() as running:
        running.create_services(SERVICES)
        yield running


def connect(postgres: Postgres, database: str, user: str) -> psycopg.Connection:
    url = make_url(postgres.url(database, user=user)).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def migrate(postgres: Postgres, service: str, user: str) -> None:
    url = postgres.url(service, user=user)
    with closing(Store(url, service, migrations()[service])) as store:
        store.migrate()
        store.must_be_current()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_no_other_database(postgres: Postgres, service: str) -> None:
    others = (*(set(SERVICES) - {service}), "postgres", "template1")
    for other in others:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            connect(postgres, other, service)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_owns_its_tables_and_nothing_else(postgres: Postgres, service: str) -> None:
    migrate(postgres, service, service)
    other = SERVICES[SERVICES.index(service) - 1]
    with connect(postgres, service, service) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.format(role=service, other=other))


def test_databases_of_one_role_go_to_the_services() -> None:
    """As 0.1.0 made them: one superuser owned all databases and their tables."""
    with server() as old:
        for service in SERVICES:
            old.create(service)
            migrate(old, service, old.user)
        for _ in range(2):
            old.create_services(SERVICES)
        for service in SERVICES:
            with connect(old, service, service) as connection:
                owners = connection.execute(
                    "SELECT relowner::regrole::text FROM pg_class"
                    " WHERE relnamespace = 'public'::regnamespace"
                    " UNION SELECT proowner::regrole::text FROM pg_proc"
                    " WHERE pronamespace = 'public'::regnamespace"
                ).fetchall()
                assert owners == [(service,)]
                connection.execute("ALTER TABLE alembic_version ADD COLUMN later text")
