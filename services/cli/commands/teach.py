"""The command `smallprint teach`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.files import read_file
from services.cli.options import load_settings
from services.cli.output import tables
from services.cli.output.lines import OutputWriter, error_line, plain
from services.cli.output.progress import Stages
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


@click.command()
@click.argument("name", required=False)
@click.argument("examples", required=False, metavar="[EXAMPLES]")
@click.option("--replace", is_flag=True, help="Replace NAME with a new version.")
@click.option("--list", "show", is_flag=True, help="List the specialists trained on this machine.")
@click.option("--remove", metavar="NAME", help="Remove the specialist NAME.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line; with --list one a specialist."
)
def teach(
    name: str | None,
    examples: str | None,
    replace: bool,
    show: bool,
    remove: str | None,
    as_json: bool,
) -> int:
    """Train a specialist for your own clause type.

    NAME is the clause type. EXAMPLES has 20 to 500 examples; it is a file of JSON lines: {"text":
    ..., "spans": [{"start": 12, "end": 80}]}, in Unicode code points. Include texts without such a
    clause, with "spans": []. Texts with the same "document" are never split between training and
    test. Reported quality is measured on examples that were left out. Nothing leaves this machine.

    \b
    Examples:
      smallprint teach data-retention examples.jsonl
      smallprint extract lease.pdf --adapter data-retention
      smallprint teach --list
    """
    settings = load_settings()
    if sum((bool(name or examples), show, remove is not None)) != 1 or bool(name) != bool(examples):
        raise click.UsageError("give NAME and EXAMPLES, or --list, or --remove NAME")
    if show:
        _list_taught(settings, as_json=as_json)
    elif remove is not None:
        from services.extraction.teaching import remove_taught

        remove_taught(remove, settings.adapters_folder)
        click.echo(f"{plain(remove)} is removed", err=True)
    elif name and examples:
        return _teach(name, examples, settings, replace=replace, as_json=as_json)
    return 0


def _teach(
    name: str, examples: str, settings: CommonSettings, *, replace: bool, as_json: bool
) -> int:
    from services.extraction.teaching import teach
    from services.extraction.teaching.examples import MOST_BYTES, read_examples

    def report() -> Mapping[str, Any]:
        given = read_examples(read_file(examples, MOST_BYTES), examples)
        with Stages() as stages:
            return teach(
                name,
                given,
                settings.artefacts_folder,
                settings.adapters_folder,
                threads=settings.threads,
                arithmetic=settings.arithmetic,
                replace=replace,
                tell=stages.at,
            )

    lines = OutputWriter(as_json=as_json, table=tables.taught)
    try:
        lines.result({"source": examples, **report()})
    except SuiteError as error:
        if not as_json:
            about = f"{examples}: " if error.document else ""
            raise SuiteError(f"{about}{error.message}") from None
        lines.result(error_line(examples, error))
    return lines.exit_code


def _list_taught(settings: CommonSettings, *, as_json: bool) -> None:
    from services.extraction.teaching import taught_adapters

    lines = OutputWriter(as_json=as_json, table=tables.taught_line)
    for line in taught_adapters(settings.adapters_folder):
        lines.result(line)
    if not lines.worked:
        where = plain(str(settings.adapters_folder))
        click.echo(f"no specialist was trained here yet (folder: {where})", err=True)
