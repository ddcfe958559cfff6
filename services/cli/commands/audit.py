"""The commands `smallprint audit`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from services.cli.deployment.stores import open_stores, require_all
from services.cli.options import data_option, load_settings
from services.cli.output.lines import print_line, to_json, write

WRONG = 1
"""The exit code of `audit verify` for a wrong line or a missing trigger."""


@click.group()
def audit() -> None:
    """Verify and export the audit trail.

    Each service records who did what, when and from where. The lines of a tenant in a service are a
    chain: each has the hash of the previous line.

    \b
    Examples:
      smallprint audit verify
      smallprint audit export > trail.jsonl
      smallprint audit verify --against trail.jsonl
    """


@audit.command("verify")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="EXPORT",
    help="An earlier export (JSONL). The trail must still have its last lines.",
)
@data_option
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON lines, one for each chain or missing protection.",
)
def audit_verify(against: Path | None, data: Path | None, as_json: bool) -> int:
    """Find changed, removed or forged lines, and missing triggers.

    The suite may be running. Prints each chain, with its first wrong line. Somebody who can write a
    database can also drop its triggers, write a new chain and make them again. Only an earlier
    export shows that: keep it elsewhere, and use --against.

    Exit codes: 0 all lines are correct, 1 a line is wrong or a trigger missing, 2 the check failed.
    """
    from services.cli.operations import audit_trail

    anchors = audit_trail.last_lines(against) if against else {}
    settings = load_settings(data)
    require_all(settings)
    wrong = False
    with open_stores(settings) as stores:
        for line in audit_trail.verified(stores, anchors):
            print_line(line, [audit_trail.row(line)], as_json=as_json)
            wrong = wrong or line["problem"] is not None
    return WRONG if wrong else 0


@audit.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="`audit verify --against` reads jsonl.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Only lines at or after this time in UTC.",
)
@click.option("--tenant", help="Only lines of this tenant.")
@click.option(
    "--object",
    "subject",
    metavar="ID",
    help="Only lines about this document and its items, or this key, user or webhook.",
)
@click.option("--actor", metavar="NAME", help="Only lines of this user or key.")
@data_option
def audit_export(
    form: str,
    since: datetime | None,
    tenant: str | None,
    subject: str | None,
    actor: str | None,
    data: Path | None,
) -> None:
    """Print the lines of all services, the oldest first.

    They have ids, and names of users and keys, but no text of documents.

    \b
    Examples:
      smallprint audit export > trail.jsonl
      smallprint audit export --since 2026-01-31 --tenant acme
      smallprint audit export --object doc_56a2f02b1d55403d80dcea975918ba48
      smallprint audit export --format csv > trail.csv
    """
    from services.cli.operations import audit_trail
    from shared.sheet_files import csv_file

    settings = load_settings(data)
    require_all(settings)
    start = since.replace(tzinfo=UTC) if since else None
    with open_stores(settings) as stores:
        found = audit_trail.export(stores, since=start, tenant=tenant, subject=subject, actor=actor)
        if form == "csv":
            rows = ({**line, "details": json.dumps(line["details"])} for line in found)
            for chunk in csv_file(rows, audit_trail.COLUMNS):
                write(chunk)
        else:
            for line in found:
                write(to_json(line))
