"""Alembic revisions of one service, run without an environment file.

Each service keeps its revisions in `services/<name>/migrations/versions/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from shared.errors import SettingsError
from shared.storage.restore_guard import refuse_while_restored
from shared.storage.tenant_isolation import ACROSS

_LOCK = 0x736D616C  # any number that only our migrations take


def migrate(
    engine: Engine, folder: Path, revision: str = "head", *, restoring: bool = False
) -> None:
    """Move the schema up or down to `revision`, holding a lock against other processes.

    Args:
        restoring: whether the caller restores the database.

    Raises SettingsError for a database of a newer program, or one that others restore.
    """
    config = _config(folder)
    script = ScriptDirectory.from_config(config)

    every_row = engine.execution_options(**{ACROSS: "revisions change rows of all"})
    with every_row.begin() as connection:
        if connection.dialect.name == "postgresql":
            if not restoring:
                refuse_while_restored(connection)
            # A process at the newest revision does not wait for the migration of a newer program.
            heads = MigrationContext.configure(connection).get_current_heads()
            if revision == "head" and heads == tuple(script.get_heads()):
                return
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        heads = MigrationContext.configure(connection).get_current_heads()
        _refuse_newer(engine, script, heads)
        down = revision == "base" or (
            revision != "head"
            and revision in {r.revision for h in heads for r in script.iterate_revisions(h, "base")}
        )

        def steps(current: Any, _context: MigrationContext) -> Any:
            move = script._downgrade_revs if down else script._upgrade_revs
            return move(revision, current)

        with EnvironmentContext(config, script, fn=steps) as environment:
            environment.configure(connection=connection, render_as_batch=True)
            environment.run_migrations()


def revisions(folder: Path) -> list[str]:
    """The revisions of a folder, the oldest first."""
    walked = ScriptDirectory.from_config(_config(folder)).walk_revisions()
    return [one.revision for one in walked][::-1]


def must_be_current(engine: Engine, folder: Path) -> None:
    """Raise SettingsError unless a database is at the last revision."""
    script = ScriptDirectory.from_config(_config(folder))
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
    _refuse_newer(engine, script, heads)
    if heads != (script.get_current_head(),):
        raise SettingsError(
            f"The database {engine.url.render_as_string(hide_password=True)} is of an older "
            "version. Nothing was changed. Start the suite once, or run `smallprint migrate`: "
            "that brings it up to date."
        )


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _refuse_newer(engine: Engine, script: ScriptDirectory, heads: tuple[str, ...]) -> None:
    known = {one.revision for one in script.walk_revisions()}
    if unknown := [head for head in heads if head not in known]:
        raise SettingsError(
            f"The database {engine.url.render_as_string(hide_password=True)} is newer than this "
            f"program: this program does not know its revision {unknown[0]} (the latest known one "
            f"is {script.get_current_head()}). Nothing was changed. Start the newer "
            "program again, or restore the backup that was made before the upgrade."
        )


def current(engine: Engine) -> str | None:
    """The revision that the database is at, or None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
