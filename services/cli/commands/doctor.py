"""The command `smallprint doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from services.cli.options import PORT, data_option, load_settings, one_json
from services.cli.output.lines import print_line


@click.command()
@data_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="Port of the suite.",
)
@one_json
def doctor(data: Path | None, port: int, as_json: bool) -> int:
    """Check this machine, and say how to fix what is wrong.

    Checks the models and the data folder too. Exits with 0 if there is nothing to fix.

    \b
    Examples:
      smallprint doctor
      smallprint doctor --json | jq '.checks[] | select(.state == "wrong")'
    """
    from services.cli import doctor_checks

    settings = load_settings(data)
    checks = [
        doctor_checks.python(),
        doctor_checks.packages(),
        *doctor_checks.optional_packages(),
        doctor_checks.recognition(),
        *doctor_checks.confinement(required=settings.require_confinement),
        *doctor_checks.specialists(settings),
        *doctor_checks.optional_models(settings.artefacts_folder),
        doctor_checks.data_folder(settings.data),
        *doctor_checks.audit_triggers(settings),
        doctor_checks.disk(settings.data),
        doctor_checks.port(port),
    ]
    content = doctor_checks.content(checks)
    line = {"content": content, "checks": [asdict(check) for check in checks]}
    print_line(line, doctor_checks.check_rows(checks), as_json=as_json)
    return 0 if content else 1
