"""Options that several groups of commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

PORT = 8400
URL = f"http://127.0.0.1:{PORT}"
INSIDE = f"http://origin:{PORT}"
"""The suite of docker-compose.yml, as its own containers see it."""
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines, one a file.")
one_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder (SMALLPRINT_DATA, or var/data).",
)

url_option = click.option(
    "--url",
    help="Where a suite runs (SMALLPRINT_URL, or as its data folder says, where it says so, or "
    f"{URL}).",
)
key_option = click.option(
    "--key", envvar="SMALLPRINT_KEY", help="A key of it; better given as SMALLPRINT_KEY."
)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the environment decides about the others."""
    return {name: value for name, value in options.items() if value is not None}
