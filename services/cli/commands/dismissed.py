"""The command `smallprint dismissed`."""

from __future__ import annotations

from pathlib import Path

import click

from services.cli.deployment.stores import open_store
from services.cli.options import data_option, load_settings, tenant_option
from services.cli.output.lines import to_json, write


@click.command()
@tenant_option("Tenant whose decisions count.")
@data_option
def dismissed(tenant: str, data: Path | None) -> int:
    """Print dismissed findings as training examples.

    Each JSON line is a filing as it was read, with the dismissed relations and why. Training can
    learn these as lawful (`python -m models.triage_breaks --dismissed FILE`). The suite may be
    running.

    The lines have figures and reasons, but not who dismissed them. The file is a copy: deleting a
    document in the suite does not change it.

    \b
    Examples:
      smallprint dismissed > dismissed.jsonl
      smallprint dismissed --tenant acme --data var/data > dismissed.jsonl
    """
    from services.triage.relations.message_format import counted
    from services.triage.training_export import DismissalExamples
    from shared.blobs import open_blobs

    settings = load_settings(data)
    blobs = open_blobs(settings.blobs_url, settings.blobs, "triage")
    filings = findings = 0
    with open_store(settings, "triage") as store:
        lessons = DismissalExamples(store, blobs, tenant)
        for lesson in lessons:
            filings, findings = filings + 1, findings + len(lesson.dismissed)
            write(to_json(lesson.to_json()))
    suffix = f"; {lessons.left_out} more belong to deleted filings"
    message = counted(findings, "dismissed finding", "dismissed findings")
    message += f" of {counted(filings, 'filing', 'filings')}"
    click.echo(f"{message}{suffix if lessons.left_out else ''}", err=True)
    return 0
