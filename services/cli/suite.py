"""The commands that ask a running suite: `upload`, `search` and `reports`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from services.cli.each_file import each_file
from services.cli.options import password_option, paths_argument
from services.cli.printing import moment, write_rows
from services.cli.status import no_suite
from shared.cli.lines import Lines, to_json, write
from shared.cli.options import as_json, data_option, key_option, url_option


@click.command()
@paths_argument
@as_json
@url_option
@data_option
@key_option
@click.option("--kind", type=click.Choice(["contract", "report", "other"]), help="What they are.")
@click.option(
    "--adapter",
    "adapters",
    multiple=True,
    help="A specialist of the suite that is to read them if they are contracts; may be repeated.",
)
@password_option
def upload(
    paths: Sequence[str],
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
    kind: Any,
    adapters: Sequence[str],
    password: str | None,
) -> int:
    """Upload documents to a running suite; a large one goes on where its connection broke off.

    With --json one line a file: `source`, `id`, `state` and so on, as the suite answers.

    \b
    Examples:
      SMALLPRINT_KEY=sp_... smallprint upload lease.pdf
      smallprint upload *.pdf --url https://papers.example --json
      smallprint upload lease.pdf --data var/data-kafka
      smallprint upload terms.html --adapter contract-clauses --adapter unfair-terms
    """
    from smallprint import ApiError, Client

    from shared.cli import tables
    from shared.cli.address import reached

    where, key = reached(url, key, data)
    lines = Lines(as_json=as_json, table=tables.uploaded)
    with Client(where, key) as client:

        def send(path: str) -> Iterator[Mapping[str, Any]]:
            try:
                document = client.upload(path, kind=kind, password=password, adapters=adapters)
            except ApiError as error:
                silent = error.code == "no_answer"
                detail = no_suite(error, where).message if silent else error.detail
                yield {"source": path, "error": {"type": error.code, "detail": detail}}
            except OSError as error:
                detail = f"the file can't be read: {error.strerror or error}"
                yield {"source": path, "error": {"type": "unreadable_file", "detail": detail}}
            else:
                yield {"source": path, "id": document.id, "state": document.state}

        each_file(paths, lines, send)
    return lines.exit_code


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a place.")
@url_option
@data_option
@key_option
@click.option(
    "--in",
    "within",
    type=click.Choice(["text", "clauses"]),
    default="text",
    show_default=True,
    help="Where to look.",
)
@click.option("--category", help="Clauses of this category, verbatim.")
@click.option("--kind", type=click.Choice(["contract", "report", "other"]), help="Of documents.")
@click.option("--document", help="Id of the only document to look in.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Print no more places than these.",
)
def search(
    words: Sequence[str],
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
    within: Any,
    category: str | None,
    kind: Any,
    document: str | None,
    most: int,
) -> int:
    """Search the documents of a running suite: pages, or clauses, that have all of the words.

    Words in quotes stand side by side; a star stands for any ending. With --json one line a place:
    `document_id`, `page`, `text`, `highlights` and so on, as the suite answers.

    \b
    Examples:
      smallprint search indemnification delaware
      smallprint search '"change of control"' --in clauses
      smallprint search 'terminat*' --category "Governing Law" --json
      smallprint search delaware --data var/data-kafka
    """
    from itertools import islice

    from smallprint import ApiError, Client

    from shared.cli import tables
    from shared.cli.address import reached

    filters = {"within": within, "category": category, "kind": kind, "document": document}
    where, key = reached(url, key, data)
    try:
        with Client(where, key) as client:
            found = list(islice(client.search(" ".join(words), **filters), most + 1))
    except ApiError as error:
        raise no_suite(error, where) from None
    for hit in found[:most]:
        if as_json:
            write(to_json(asdict(hit)))
        else:
            write_rows(tables.hit(hit))
    if not found:
        click.echo("nothing was found", err=True)
    elif len(found) > most:
        click.echo(f"there is more: --most {10 * most}, or fewer with other words", err=True)
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a report.")
@url_option
@data_option
@key_option
@click.option("--flagged", is_flag=True, default=None, help="Only those that are flagged.")
@click.option("--least", type=click.FloatRange(0, 1), help="Only from this risk on.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Print no more reports than these.",
)
def reports(
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
    flagged: bool | None,
    least: float | None,
    most: int,
) -> int:
    """List the reports of a running suite by risk, the riskiest first.

    Risk says where to look first; it is no verdict. With --json one line a report: `document_id`,
    `name`, `risk`, `flagged` and so on, as the suite answers.

    \b
    Examples:
      smallprint reports
      smallprint reports --flagged --json
      smallprint reports --least 0.2 --most 100
      smallprint reports --data var/data-kafka
    """
    from itertools import islice

    from smallprint import ApiError, Client

    from shared.cli import tables
    from shared.cli.address import reached

    where, key = reached(url, key, data)
    try:
        with Client(where, key) as client:
            found = list(islice(client.reports(flagged=flagged, least=least), most + 1))
    except ApiError as error:
        raise no_suite(error, where) from None
    if as_json:
        for report in found[:most]:
            write(to_json({**asdict(report), "updated": moment(report.updated)}))
    else:
        rows = tables.reports(found[:most])
        write_rows(rows)
        click.echo(tables.DISCLAIMER, err=True)
    if not found:
        click.echo("no report fits", err=True)
    elif len(found) > most:
        click.echo(f"there are more: --most {10 * most}", err=True)
    return 0
