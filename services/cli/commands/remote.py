"""The commands that use a running suite: `search`, `reports` and `open`."""

from __future__ import annotations

import html
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from services.cli.options import kind_option, load_settings, sheet_options, suite_options
from services.cli.output import sheets, tables
from services.cli.output.lines import (
    print_hint,
    print_line,
    result_json,
    to_json,
    write,
    write_rows,
)

FILE_SECONDS = 60
"""For how long a browser can read the file with a link. A cold one may need half a minute."""
_ONWARD = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={}">'


@click.command()
@click.argument("words", nargs=-1, metavar="[WORDS]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a hit.")
@sheet_options
@suite_options
@click.option(
    "--in",
    "within",
    type=click.Choice(["text", "clauses"]),
    default="text",
    show_default=True,
    help="Where to look.",
)
@click.option("--category", multiple=True, help="Only clauses of this category; may be repeated.")
@kind_option("Only documents of this kind.")
@click.option("--document", help="Only the document with this id.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Most hits to print.",
)
def search(
    words: Sequence[str],
    as_json: bool,
    form: str | None,
    url: str | None,
    data: Path | None,
    key: str | None,
    within: Any,
    category: Sequence[str],
    kind: Any,
    document: str | None,
    most: int,
) -> int:
    """Search a running suite for pages or clauses.

    Finds those with all of the words. Use quotes for a phrase, and a star for any ending. With
    --category and without words it lists all clauses of this category. With --json one line a hit:
    `document_id`, `page`, `text`, `highlights` and more, as the suite answers.

    \b
    Examples:
      smallprint search indemnification delaware
      smallprint search '"change of control"' --in clauses
      smallprint search 'terminat*' --category "Governing Law" --json
      smallprint search --category "Governing Law" --most 1000 --xlsx > laws.xlsx
    """
    from itertools import islice

    from services.cli.deployment.connection import connect

    if not words and not category:
        raise click.UsageError("give WORDS to find, or --category to list its clauses")
    sheet = sheets.sheet(form, sheets.HITS, sheets.hits, as_json=as_json)
    filters = {"within": within, "category": category, "kind": kind, "document": document}
    with connect(url, key, data) as client:
        hits = list(islice(client.search(" ".join(words) or None, **filters), most + 1))
    if sheet:
        sheet.write(hits[:most])
    for hit in () if sheet else hits[:most]:
        print_line(result_json(hit), tables.hit(hit), as_json=as_json)
    if not hits:
        click.echo("nothing found", err=True)
    elif len(hits) > most:
        click.echo(f"there are more hits: use --most {10 * most}, or other words", err=True)
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a report.")
@sheet_options
@suite_options
@click.option("--flagged", is_flag=True, default=None, help="Only flagged reports.")
@click.option("--least", type=click.FloatRange(0, 1), help="Only reports with at least this risk.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Most reports to print.",
)
def reports(
    as_json: bool,
    form: str | None,
    url: str | None,
    data: Path | None,
    key: str | None,
    flagged: bool | None,
    least: float | None,
    most: int,
) -> int:
    """List the reports of a running suite, the riskiest first.

    Risk says where to look first; it is no verdict. With --json one line a report: `document_id`,
    `name`, `risk`, `flagged` and more, as the suite answers.

    \b
    Examples:
      smallprint reports
      smallprint reports --flagged --json
      smallprint reports --least 0.2 --most 100
      smallprint reports --xlsx > reports.xlsx
    """
    from itertools import islice

    from services.cli.deployment.connection import connect

    sheet = sheets.sheet(form, sheets.REPORTS, sheets.reports, as_json=as_json)
    with connect(url, key, data) as client:
        listed = list(islice(client.reports(flagged=flagged, min_risk=least), most + 1))
    if sheet:
        sheet.write(listed[:most])
    elif as_json:
        for report in listed[:most]:
            write(to_json(result_json(report)))
    else:
        write_rows(tables.reports(listed[:most]))
        click.echo(tables.DISCLAIMER, err=True)
    if not listed:
        click.echo("no reports found", err=True)
    elif len(listed) > most:
        click.echo(f"there are more reports: use --most {10 * most}", err=True)
    return 0


@click.command("open")
@click.argument("document", required=False)
@suite_options
@click.option("--print", "only_print", is_flag=True, help="Print the link instead.")
def open_page(
    document: str | None, url: str | None, data: Path | None, key: str | None, only_print: bool
) -> None:
    """Open the pages of a running suite in the browser.

    With DOCUMENT, an id or a part of a file name, the page of that document. The link signs in
    once, within an hour. The browser gets it in a file that only you can read. Browsers from Snap
    may not read it, so the command prints the link, too.

    \b
    Examples:
      smallprint open
      smallprint open supply-agreement
      smallprint open --print
    """
    from services.cli.deployment.connection import connect, find_document

    with connect(url, key, data) as client:
        found = find_document(client, document) if document else None
        page = f"/documents/{found.id}" if found else "/"
        link = client.sign_in_link(page)
    opened = not only_print and _open_in_browser(link, load_settings(data).data)
    unless = "If the browser shows no page, open" if opened else "Open"
    print_hint(f"{unless} this link. It signs in once:")
    write_rows([link])


def _open_in_browser(link: str, data: Path) -> bool:
    """Open a link by a file that only this user can read, since all users see command lines.

    Another process removes the file after `FILE_SECONDS`. Returns False without a browser.
    """
    import webbrowser

    from services.cli.deployment.deployment_file import write_private

    folder = tempfile.mkdtemp(prefix="open-", dir=data if os.access(data, os.W_OK) else None)
    page = Path(folder).resolve() / "open.html"
    write_private(page, _ONWARD.format(html.escape(link)))
    subprocess.Popen(
        ["sh", "-c", 'sleep "$0"; rm -r "$1"', str(FILE_SECONDS), folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return webbrowser.open(page.as_uri())
