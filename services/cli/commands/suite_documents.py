"""The commands for documents of a running suite: `documents`, `export` and `delete`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from services.cli.options import kind_option, one_json, suite_options
from services.cli.output import documents as output
from services.cli.output.lines import (
    print_hint,
    print_line,
    result_json,
    to_json,
    write,
    write_rows,
)
from shared.errors import SuiteError


@click.group()
def documents() -> None:
    """List and show the documents of a running suite.

    \b
    Examples:
      smallprint documents list lease
      smallprint documents list --outcome failed
      smallprint documents show doc_56a2f02b1d55403d80dcea975918ba48
    """


@documents.command("list")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a document.")
@suite_options
@click.option(
    "--state",
    type=click.Choice(["received", "read", "processing", "ended"]),
    help="Only documents in this state.",
)
@click.option(
    "--outcome",
    type=click.Choice(["complete", "partial", "failed", "rejected"]),
    help="Only documents with this outcome.",
)
@kind_option("Only documents of this kind.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Most documents to print.",
)
def documents_list(
    name: str | None,
    as_json: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
    state: Any,
    outcome: Any,
    kind: Any,
    most: int,
) -> None:
    """List documents, the newest first.

    With NAME only documents with this text in their file name, in upper or lower case.
    """
    from services.cli.deployment.connection import connect

    with connect(url, key, data) as client:
        found = client.documents(name=name, state=state, outcome=outcome, kind=kind)
        listed = list(islice(found, most + 1))
    if as_json:
        for one in listed[:most]:
            write(to_json(result_json(one)))
    else:
        write_rows(output.listed(listed[:most]))
        if any(map(output.has_warnings, listed[:most])):
            print_hint("! has warnings: `smallprint documents show ID` lists them")
    if len(listed) > most:
        click.echo(f"there are more documents: use --most {10 * most}", err=True)
    elif not listed:
        filtered = name or state or outcome or kind
        hint = (
            "no such documents"
            if filtered
            else "no documents yet. `smallprint upload FILE` uploads one"
        )
        print_hint(hint)


@documents.command("show")
@click.argument("document")
@one_json
@suite_options
def documents_show(
    document: str, as_json: bool, url: str | None, data: Path | None, key: str | None
) -> None:
    """Show the state of one document, with reasons and warnings.

    DOCUMENT is its id, or a part of its file name. `smallprint status DOCUMENT` shows its events in
    each service.
    """
    from services.cli.deployment.connection import connect, find_document

    with connect(url, key, data) as client:
        found = find_document(client, document)
    print_line(result_json(found), output.shown(found), as_json=as_json)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "xlsx", "jsonl"]),
    default="csv",
    show_default=True,
    help="Format of the file.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; by default standard output.",
)
@click.option(
    "--state",
    type=click.Choice(["all", "decided", "open", "waiting", "claimed", "accepted"]),
    default="all",
    show_default=True,
    help="Only results in this state.",
)
@click.option(
    "--kind",
    type=click.Choice(["clause", "finding", "signal", "flag", "absence"]),
    help="Only results of this kind.",
)
@click.option(
    "--columns",
    type=click.Choice(["short", "all"]),
    default="short",
    show_default=True,
    help="Columns of the file; `all` adds ids, offsets and corrected results.",
)
@click.option("--document", help="Only results of the document with this id.")
@click.option("--category", multiple=True, help="Only results of this category; may be repeated.")
@suite_options
def export(
    form: str,
    out: Path | None,
    url: str | None,
    data: Path | None,
    key: str | None,
    **filters: str | Sequence[str] | None,
) -> None:
    """Save the results of a running suite, with their decisions.

    \b
    Examples:
      smallprint export --out results.csv
      smallprint export --format xlsx --state decided --out decisions.xlsx
      smallprint export --format jsonl --document ID | jq .category
    """
    from services.cli.deployment.connection import connect

    if form == "xlsx" and out is None and sys.stdout.isatty():
        raise click.UsageError("a workbook is no text for a terminal: add --out results.xlsx")
    given = {name: value for name, value in filters.items() if value}
    with connect(url, key, data) as client:
        content = client.export(form, **given)
    if out is None:
        write(content)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise SuiteError(f"{out} can't be written: {error.strerror or error}") from None
    from services.cli.output.lines import count
    from shared.sheet_files import rows_in

    click.echo(f"{out}: {count(rows_in(content, form), 'result')}", err=True)


@click.command()
@click.argument("document_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@suite_options
def delete(
    document_ids: Sequence[str],
    yes: bool,
    url: str | None,
    data: Path | None,
    key: str | None,
) -> None:
    """Delete documents of a running suite, with all their results.

    Their texts, results and decisions are lost. So are the parts of a mail or archive, unless they
    are also in another document.

    \b
    Examples:
      smallprint delete doc_56a2f02b1d55403d80dcea975918ba48
      smallprint documents list --outcome failed --json | jq -r .id | xargs smallprint delete --yes
    """
    from services.cli.deployment.connection import connect, document_by_id
    from services.cli.output.lines import count

    with connect(url, key, data) as client:
        found = {one: document_by_id(client, one) for one in document_ids}
        named = [output.with_parts(one) for one in found.values()]
        if not yes:
            for row in named:
                click.echo(f"  {row}", err=True)
            question = f"Delete {count(len(named), 'document')}, with all results and decisions?"
            if not click.confirm(question, err=True):
                click.echo("nothing was deleted", err=True)
                return
        for document_id, row in zip(found, named, strict=True):
            client.delete(document_id)
            click.echo(f"{row} ({document_id}) is deleted", err=True)
