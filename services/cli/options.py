"""Options of several commands, and the settings that they give."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from services.cli.deployment.specialists import ADAPTER
from services.cli.output.lines import plain
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.settings import CommonSettings

F = TypeVar("F", bound=Callable[..., Any])
PORT = 8400
URL = f"http://127.0.0.1:{PORT}"
INSIDE = f"http://origin:{PORT}"  # the suite of docker-compose.yml, as its containers see it


class AdapterOption(click.Option):
    """The option `--adapter`, whose help names the installed adapters."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        from shared.artefacts.loader import adapter_names

        record = super().get_help_record(context)
        with suppress(SuiteError):  # show the help even if a setting is wrong
            settings = load_settings()
            adapters = adapter_names(settings.artefacts_folder, settings.adapters_folder)
            names = ", ".join(map(plain, adapters))
            if record and names:
                return record[0], f"{record[1]} Installed: {names}."
        return record


def kind_option(about: str) -> Callable[[F], F]:
    """The option `--kind`."""
    return click.option("--kind", type=click.Choice(["contract", "report", "other"]), help=about)


def detected_kind_option(command: F) -> F:
    """The option `--kind` of commands that read files on this machine."""
    return click.option(
        "--kind",
        type=click.Choice(["auto", "contract", "report"]),
        default="auto",
        show_default=True,
        help="Kind of all documents. `auto` detects the kind of each.",
    )(command)


def tenant_option(about: str) -> Callable[[F], F]:
    """The option `--tenant`."""
    return click.option("--tenant", default="default", show_default=True, help=about)


paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH...")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one per file.")
one_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder of the suite. By default SMALLPRINT_DATA, var/data of the checkout, or "
    "~/.local/share/smallprint if installed.",
)
url_option = click.option(
    "--url",
    help="Address of the suite. By default SMALLPRINT_URL, or the suite of the data folder.",
)
key_option = click.option(
    "--key",
    envvar="SMALLPRINT_KEY",
    help="Key of the suite. By default SMALLPRINT_KEY, or the owner's key in the data folder.",
)


class Duration(click.ParamType[timedelta]):
    """A time such as `90d`, `12h` or `30m`."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the time. `0` needs no unit."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(0)|(\d{1,5})([dhm])", value, re.ASCII)
        if not found:
            self.fail(f"{plain(value)!r} is not a time such as 90d, 12h or 30m", param, ctx)
        seconds = {"d": 86_400, "h": 3_600, "m": 60, None: 0}[found[3]]
        return timedelta(seconds=int(found[2] or 0) * seconds)


def suite_options(command: F) -> F:
    """The options of commands that use a running suite: `--url`, `--data` and `--key`."""
    return url_option(data_option(key_option(command)))


adapter_option = click.option(
    "--adapter",
    "adapters",
    multiple=True,
    default=(ADAPTER,),
    cls=AdapterOption,
    show_default=True,
    help="Specialist that reads contracts; may be repeated.",
)


def sheet_options(command: F) -> F:
    """The options `--csv` and `--xlsx`."""
    as_csv = click.option("--csv", "form", flag_value="csv", help="Print a CSV file.")
    as_xlsx = click.option("--xlsx", "form", flag_value="xlsx", help="Print an Excel workbook.")
    return as_csv(as_xlsx(command))


fail_on_flagged_option = click.option(
    "--fail-on-flagged", is_flag=True, help="Exit with 3 if a report is flagged."
)
password_option = click.option(
    "--password",
    envvar="SMALLPRINT_PASSWORD",
    help="Password of encrypted PDFs. Better set SMALLPRINT_PASSWORD.",
)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the environment sets the others."""
    return {name: value for name, value in options.items() if value is not None}


def load_settings(data: Path | None = None, bus_url: str | None = None) -> CommonSettings:
    """The settings with the options. Raises SettingsError."""
    from shared.settings import CommonSettings, load

    return load(CommonSettings, **given(data=data, bus_url=bus_url))
