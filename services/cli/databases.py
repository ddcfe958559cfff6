"""The databases of all services at once, for the commands of operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


def urls(settings: CommonSettings) -> dict[str, str]:
    """The URL of each service's database: what its setting names, or a file of the data folder."""
    return {name: settings.database(name, url) for name, url in _named(settings).items()}


def require_all(settings: CommonSettings) -> None:
    """Raise SettingsError where PostgreSQL is named for some services, and others have neither a
    URL nor a file: a container of one service knows the database of no other. So it is where two
    services name the same database: their tables and revisions are their own.
    """
    named = _named(settings)
    whose: dict[str, str] = {}
    for name, url in named.items():
        if url and (other := whose.setdefault(url, name)) != name:
            raise SettingsError(
                f"{other} and {name} name the same database: give each one of its own "
                f"(SMALLPRINT_{name.upper()}_DATABASE_URL)"
            )
    servers = [name for name, url in named.items() if url and not url.startswith("sqlite:")]
    without = [
        name
        for name, url in named.items()
        if not url and not (settings.data / f"{name}.db").is_file()
    ]
    if servers and without:
        lacking = ", ".join(f"SMALLPRINT_{name.upper()}_DATABASE_URL" for name in without)
        raise SettingsError(
            f"PostgreSQL is named for {', '.join(servers)} alone here, and {settings.data} has no "
            f"files of the others: set {lacking}, or run the command where all are set (`docker "
            "compose run --rm upkeep …`, the job `upkeep` on Kubernetes)"
        )


def older(settings: CommonSettings) -> dict[str, tuple[str, str]]:
    """The services whose tables are older than this program: the revision that they are at, and its
    own last one. Raises Unavailable.
    """
    from shared.storage import Store
    from shared.storage.migrate import current, revisions

    folders, found = migrations(), {}
    for name, url in urls(settings).items():
        known = revisions(folders[name])
        store = Store(url, name, folders[name])
        try:
            store.ready()
            at = current(store.engine)
        finally:
            store.close()
        if at in known[:-1]:
            found[name] = (at, known[-1])
    return found


def _named(settings: CommonSettings) -> dict[str, str]:
    """What the setting of each service says; empty: a file of the data folder."""
    from services.escalation.settings import Settings as Escalation
    from services.extraction.settings import Settings as Extraction
    from services.ingest.settings import Settings as Ingest
    from services.review.settings import Settings as Review
    from services.triage.settings import Settings as Triage
    from shared.settings import load

    chosen = {"data": settings.data}
    return {
        "ingest": load(Ingest, **chosen).ingest_database_url,
        "extraction": load(Extraction, **chosen).extraction_database_url,
        "triage": load(Triage, **chosen).triage_database_url,
        "review": load(Review, **chosen).review_database_url,
        "escalation": load(Escalation, **chosen).escalation_database_url,
    }


def migrations() -> dict[str, Path]:
    """The folder of each service's revisions."""
    from services.escalation.store import MIGRATIONS as ESCALATION
    from services.extraction.store import MIGRATIONS as EXTRACTION
    from services.ingest.store import MIGRATIONS as INGEST
    from services.review.store import MIGRATIONS as REVIEW
    from services.triage.store import MIGRATIONS as TRIAGE

    return {
        "ingest": INGEST,
        "extraction": EXTRACTION,
        "triage": TRIAGE,
        "review": REVIEW,
        "escalation": ESCALATION,
    }
