"""The command `smallprint dismissed`."""

from __future__ import annotations

from pathlib import Path

import click

from services.cli.stores import stored
from shared.cli.lines import to_json, write
from shared.cli.options import data_option
from shared.cli.options import given as _given


@click.command()
@click.option("--tenant", default="default", show_default=True, help="Whose decisions count.")
@data_option
def dismissed(tenant: str, data: Path | None) -> int:
    """Print findings that were dismissed with a reason, as examples for training: JSON lines.

    A filing a line as it was read, with each relation that was dismissed and why. The training of
    the judge learns these breaks as lawful (`python -m models.triage --dismissed FILE`); nothing is
    learned without it. The suite may be running.

    Who dismissed it is left out; figures and reasons are not. What you save is a copy: deleting a
    document in the suite does not take it out of the file.

    \b
    Examples:
      smallprint dismissed > dismissed.jsonl
      smallprint dismissed --tenant acme --data var/data > dismissed.jsonl
    """
    from services.triage.lessons import Lessons
    from services.triage.settings import Settings
    from services.triage.store import MIGRATIONS
    from services.triage.wording import counted
    from shared.settings import load
    from shared.storage import open_blobs

    settings = load(Settings, **_given(data=data))
    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    filings = findings = 0
    with stored(settings, "triage", settings.triage_database_url, MIGRATIONS) as store:
        lessons = Lessons(store, blobs, tenant)
        for lesson in lessons:
            filings, findings = filings + 1, findings + len(lesson.dismissed)
            write(to_json(lesson.to_json()))
    left = f"; {lessons.left_out} more are of filings that are not there any more"
    told = counted(findings, "dismissed finding", "dismissed findings")
    told += f" of {counted(filings, 'filing', 'filings')}"
    click.echo(f"{told}{left if lessons.left_out else ''}", err=True)
    return 0
