"""The command `smallprint`, and the embedded edition. Only this package and upkeep.py, which has
the commands of operators, import several services.

Each module has the commands of one group, or what several of them share. Commands import what they
need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import click

from services import upkeep
from services.cli import (
    calibrate,
    compare,
    costs,
    dismissed,
    doctor,
    extract,
    folders,
    keys,
    migrate,
    policy,
    status,
    suite,
    teach,
    triage,
    up,
)
from shared.cli.lines import NONE_WORKED, OutputClosed, discard_output, of_machine, plain
from shared.errors import SuiteError
from shared.private import private_files
from shared.version import VERSION

INTERRUPTED, CLOSED = 130, 141
"""Exit codes of a process that Ctrl-C ended, and of one whose reader has gone."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="smallprint")
def cli() -> None:
    """Find the clauses in contracts and the breaks in financial reports, on this machine alone.

    smallprint points at passages and figures; it gives no legal or audit advice.

    \b
    Examples:
      smallprint extract lease.pdf
      smallprint extract *.pdf --json > clauses.jsonl
      smallprint batch ~/contracts
      smallprint watch ~/inbox
      smallprint teach data-retention examples.jsonl
      smallprint triage filings.jsonl --json
      smallprint up
      smallprint status
    """


for _command in (
    calibrate.calibrate,
    compare.compare,
    costs.costs,
    dismissed.dismissed,
    doctor.doctor,
    extract.extract,
    extract.text,
    folders.batch,
    folders.watch,
    keys.keys,
    migrate.migrate,
    policy.policy,
    suite.upload,
    suite.search,
    suite.reports,
    teach.teach,
    triage.triage,
    triage.statements,
    up.up,
    status.status,
    *upkeep.COMMANDS,
):
    cli.add_command(_command)


def main() -> int:
    """Run the command. Returns the exit code: 0 all worked, 1 some failed, 2 none did."""
    try:
        with private_files():
            result = cli.main(prog_name="smallprint", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return NONE_WORKED
    except SuiteError as error:
        click.echo(f"smallprint: {plain(error.message)}", err=True)
        return NONE_WORKED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        discard_output()
        return CLOSED
    except OSError as error:
        said = of_machine(error)
        if said is None:
            raise
        click.echo(f"smallprint: {said}", err=True)
        return NONE_WORKED
    return result if isinstance(result, int) else 0
