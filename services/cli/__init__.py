"""The command `smallprint`. Only this package imports several services.

Commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from services.cli.commands import (
    audit,
    calibrate,
    compare,
    costs,
    demo,
    dismissed,
    doctor,
    extract,
    folders,
    keys,
    mcp,
    migrate,
    operations,
    policy,
    remote,
    status,
    suite_documents,
    teach,
    triage,
    up,
    upload,
    users,
    webhooks,
)
from services.cli.groups import SectionedGroup
from services.cli.output.lines import (
    NONE_WORKED,
    WRONG_USAGE,
    OutputClosed,
    discard_output,
    machine_error,
    plain,
    print_failure,
)
from shared.errors import InvalidRequest, SuiteError
from shared.umask import private_files
from shared.version import VERSION

INTERRUPTED, CLOSED = 130, 141  # exit codes after Ctrl-C, and when the reader of the output is gone


SECTIONS: dict[str, Sequence[click.Command]] = {
    "Read documents on this machine": (
        *(extract.extract, triage.triage, triage.statements, extract.text),
        *(folders.batch, folders.watch),
    ),
    "Serve the suite, and use it": (
        *(demo.demo, up.up, remote.open_page, upload.upload),
        *(suite_documents.documents, remote.search, remote.reports),
        *(suite_documents.export, suite_documents.delete, webhooks.webhooks, mcp.mcp),
    ),
    "Operate the suite": (
        *(status.status, costs.costs, doctor.doctor, users.users, keys.keys),
        operations.dead_letters,
        *(operations.verify, operations.backup, operations.restore, migrate.migrate),
        audit.audit,
    ),
    "Tune what is accepted and found": (
        *(teach.teach, calibrate.calibrate, policy.policy, compare.compare, dismissed.dismissed),
    ),
}
ALIASES = {"up": "serve", "dlq": "dead-letters"}


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
    aliases=ALIASES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="smallprint")
def cli() -> None:
    """Find clauses in contracts and errors in financial reports, on this machine only.

    smallprint points at passages and figures; it gives no legal or audit advice.

    \b
    Examples:
      smallprint demo
      smallprint extract lease.pdf
      smallprint extract *.pdf --json > clauses.jsonl
      smallprint batch ~/contracts
      smallprint watch ~/inbox
      smallprint teach data-retention examples.jsonl
      smallprint triage filings.jsonl --json
      smallprint serve
      smallprint status
    """


def main() -> int:
    """Run the command. Returns the exit code: see docs/reference/exit-codes.md."""
    try:
        with private_files():
            result = cli.main(prog_name="smallprint", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.ClickException as error:
        error.show()
        return NONE_WORKED
    except SuiteError as error:
        named = error.document and not error.message.startswith(error.document)
        name = f"{error.document}: " if named else ""
        print_failure(f"smallprint: {plain(f'{name}{error.message}')}")
        return WRONG_USAGE if error.code == InvalidRequest.code else NONE_WORKED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        discard_output()
        return CLOSED
    except OSError as error:
        message = machine_error(error)
        if message is None:
            raise
        print_failure(f"smallprint: {message}")
        return NONE_WORKED
    return result if isinstance(result, int) else 0
