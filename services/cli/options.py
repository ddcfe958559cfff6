"""Options and arguments that several commands which read documents share."""

from __future__ import annotations

from contextlib import suppress

import click

from services.cli.specialists import ADAPTER
from shared.cli.lines import plain
from shared.errors import SuiteError


class AdapterOption(click.Option):
    """The option `--adapter`; its help names the adapters that there are."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        """See click.Option."""
        from shared.artefacts import adapter_names
        from shared.settings import CommonSettings, load

        record = super().get_help_record(context)
        with suppress(SuiteError):  # a wrong setting is no reason not to help
            settings = load(CommonSettings)
            found = adapter_names(settings.artefacts_folder, settings.adapters_folder)
            names = ", ".join(map(plain, found))
            if record and names:
                return record[0], f"{record[1]} There is: {names}."
        return record


adapter_option = click.option(
    "--adapter",
    "adapters",
    multiple=True,
    default=(ADAPTER,),
    cls=AdapterOption,
    show_default=True,
    help="The specialist that reads; several, if it is repeated.",
)

paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH...")

password_option = click.option(
    "--password",
    envvar="SMALLPRINT_PASSWORD",
    help="Opens encrypted PDFs; better given as SMALLPRINT_PASSWORD.",
)
