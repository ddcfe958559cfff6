"""The command `smallprint teach`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from services.cli.documents.files import read_file
from services.cli.groups import DefaultGroup
from services.cli.options import load_settings, one_json
from services.cli.output import tables
from services.cli.output.lines import OutputWriter, error_line, plain
from services.cli.output.progress import Stages
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


@click.group(cls=DefaultGroup)
def teach() -> None:
    """Train a specialist for your own clause type.

    `smallprint teach NAME EXAMPLES` is short for `smallprint teach train NAME EXAMPLES`.

    \b
    Examples:
      smallprint teach data-retention examples.jsonl
      smallprint extract lease.pdf --adapter data-retention
      smallprint teach list
      smallprint teach remove data-retention
    """


@teach.command("train")
@click.argument("name")
@click.argument("examples")
@click.option("--replace", is_flag=True, help="Replace NAME with a new version.")
@one_json
def teach_train(name: str, examples: str, replace: bool, as_json: bool) -> int:
    """Train the specialist NAME with 20 to 500 EXAMPLES.

    EXAMPLES is a file of JSON lines: {"text":
    ..., "spans": [{"start": 12, "end": 80}]}, in Unicode code points. Include texts without such a
    clause, with "spans": []. Texts with the same "document" are never split between training and
    test. Reported quality is measured on examples that were left out. Nothing leaves this machine.

    """
    return _teach(name, examples, load_settings(), replace=replace, as_json=as_json)


@teach.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a specialist.")
def teach_list(as_json: bool) -> None:
    """List the specialists that were trained on this machine."""
    from services.extraction.teaching import taught_adapters

    settings = load_settings()
    lines = OutputWriter(as_json=as_json, table=tables.taught_line)
    for line in taught_adapters(settings.adapters_folder):
        lines.result(line)
    if not lines.worked:
        where = plain(str(settings.adapters_folder))
        click.echo(f"no specialist was trained here yet (folder: {where})", err=True)


@teach.command("remove")
@click.argument("name")
def teach_remove(name: str) -> None:
    """Remove the specialist NAME."""
    from services.extraction.teaching import remove_taught

    remove_taught(name, load_settings().adapters_folder)
    click.echo(f"{plain(name)} is removed", err=True)


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
