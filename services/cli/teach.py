"""The command `smallprint teach`: specialists of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from shared.cli.lines import Lines, error_line, plain
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings


@click.command()
@click.argument("name", required=False)
@click.argument("examples", required=False, metavar="[EXAMPLES]")
@click.option("--replace", is_flag=True, help="Put a new version in the place of NAME.")
@click.option("--list", "show", is_flag=True, help="List what was taught on this machine.")
@click.option("--remove", metavar="NAME", help="Remove what was taught under NAME.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line; of --list one a specialist."
)
def teach(
    name: str | None,
    examples: str | None,
    replace: bool,
    show: bool,
    remove: str | None,
    as_json: bool,
) -> int:
    """Teach a specialist for a clause type of your own: NAME, from 20 to 500 EXAMPLES.

    EXAMPLES is a file of JSON lines: {"text": ..., "spans": [{"start": 12, "end": 80}]}, in Unicode
    code points. Give texts without such a clause as well, with "spans": []. What has the same
    "document" is never learned from and judged by at once. What is reported was measured on
    examples that were left out; nothing leaves this machine.

    \b
    Examples:
      smallprint teach data-retention examples.jsonl
      smallprint extract lease.pdf --adapter data-retention
      smallprint teach --list
    """
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings)
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
    from shared.cli import tables
    from shared.cli.files import read_file
    from shared.cli.progress import Stages

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

    lines = Lines(as_json=as_json, table=tables.taught)
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
    from shared.cli import tables

    lines = Lines(as_json=as_json, table=tables.taught_line)
    for line in taught_adapters(settings.adapters_folder):
        lines.result(line)
    if not lines.worked:
        where = plain(str(settings.adapters_folder))
        click.echo(f"nothing was taught yet (it would lie in {where})", err=True)
