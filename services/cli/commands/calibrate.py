"""The command `smallprint calibrate`."""

from __future__ import annotations

from collections.abc import Mapping
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.active_policy import active_policy
from services.cli.deployment.calibrated_services import calibrated_service
from services.cli.deployment.specialists import ADAPTER
from services.cli.options import F, data_option, one_json, tenant_option
from services.cli.output import calibrations
from services.cli.output.lines import OutputWriter, print_hint

if TYPE_CHECKING:
    from shared.monitoring.recalibration import RefitResult
    from shared.policy.rules import RiskRules


with_shipped_option = click.option(
    "--with-shipped",
    is_flag=True,
    help="Add the shipped calibration set, as if your documents were similar.",
)
by_option = click.option("--by", "actor", help="Your name for the log; by default your login.")


@click.group()
def calibrate() -> None:
    """Fit the limit for automatic acceptance to your decisions.

    Clauses and findings above the limit are accepted without review. Only documents with all
    results decided count; checked samples represent the other accepted results. The suite may be
    running. ADAPTER is a specialist for contracts, or triage-breaks, which judges reports.

    \b
    Examples:
      smallprint calibrate try
      smallprint calibrate try triage-breaks --max-wrong 0.2
      smallprint calibrate apply --by ann
      smallprint calibrate undo
      smallprint calibrate loosen --reason "the checks of March were decided by mistake"
    """


def _shared_options(command: F) -> F:
    """Add the argument and the options of all subcommands."""
    for option in (
        *(one_json, data_option, tenant_option("Tenant whose decisions count.")),
        click.argument("adapter", default=ADAPTER),
    ):
        command = option(command)
    return command


@calibrate.command("try")
@_shared_options
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Risk to try; by default that of the policy, the only one that you can apply.",
)
@with_shipped_option
def calibrate_try(
    adapter: str,
    tenant: str,
    max_wrong: float | None,
    with_shipped: bool,
    data: Path | None,
    as_json: bool,
) -> int:
    """Show the limit before and after, and change nothing."""
    from shared.errors import InvalidRequest

    service = calibrated_service(adapter, data)
    with service.opened() as store:
        rules, unknown = _rules(data, tenant)
        if unknown and max_wrong is None:
            raise InvalidRequest(f"{unknown}, or use --max-wrong")
        holds = service.max_wrong(rules)
        if max_wrong is not None:
            rules = service.at(rules, max_wrong)
        made = service.refitted(store, tenant, rules, with_shipped)
    apply = "use `smallprint calibrate apply` to apply it"
    message = f"nothing was changed: {_untaken(made, holds, unknown) or apply}"
    return _print(adapter, tenant, {**made.to_json(), "done": "tried", "message": message}, as_json)


@calibrate.command("apply")
@_shared_options
@with_shipped_option
@by_option
def calibrate_apply(
    adapter: str,
    tenant: str,
    with_shipped: bool,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Use the new limit from the next document on.

    It keeps the risk that the policy states. If monitoring has tightened the limit, this loosens
    it.
    """
    from shared.errors import InvalidRequest
    from shared.monitoring import recalibration

    service = calibrated_service(adapter, data)
    with service.opened() as store:
        rules, unknown = _rules(data, tenant)
        if unknown:
            raise InvalidRequest(unknown)
        made = service.refitted(store, tenant, rules, with_shipped)
        with store.write() as session:
            number = recalibration.apply_calibration(
                service.monitoring(session, tenant), made, actor or getuser()
            )
            _record(session, tenant, adapter, "apply", actor)
    message = (
        f"calibration {number} applies from the next document on; `smallprint calibrate undo` "
        "reverts it"
    )
    line = {**made.to_json(), "done": "applied", "message": message}
    return _print(adapter, tenant, line, as_json)


@calibrate.command("undo")
@_shared_options
@by_option
def calibrate_undo(
    adapter: str, tenant: str, actor: str | None, data: Path | None, as_json: bool
) -> int:
    """Return to the previous limit."""
    from shared.monitoring import recalibration

    service = calibrated_service(adapter, data)
    with service.opened() as store, store.write() as session:
        monitoring = service.monitoring(session, tenant)
        number = recalibration.undo_calibration(monitoring, adapter, actor or getuser())
        _record(session, tenant, adapter, "undo", actor)
    message = f"calibration {number} of {adapter} was undone"
    return _print(adapter, tenant, {"done": "undone", "message": message}, as_json)


@calibrate.command("loosen")
@_shared_options
@click.option("--reason", required=True, help="Reason, for the log.")
@by_option
def calibrate_loosen(
    adapter: str,
    tenant: str,
    reason: str,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Loosen a limit that monitoring has tightened."""
    from shared.monitoring import recalibration

    if not reason.strip():
        raise click.UsageError("--reason is empty: it goes to the log")
    service = calibrated_service(adapter, data)
    with service.opened() as store, store.write() as session:
        monitoring = service.monitoring(session, tenant)
        message = recalibration.loosen(monitoring, adapter, reason, actor or getuser())
        _record(session, tenant, adapter, "loosen", actor)
    return _print(adapter, tenant, {"done": "loosened", "message": message}, as_json)


def _record(session: Any, tenant: str, adapter: str, what: str, actor: str | None) -> None:
    from shared.audit import operator, record

    details = {"what": f"calibrate {what}", "by": actor or getuser()}
    record(session, operator(tenant), "setting.change", adapter, **details)


def _print(adapter: str, tenant: str, line: Mapping[str, Any], as_json: bool) -> int:
    """Print the result. Returns the exit code."""
    lines = OutputWriter(as_json=as_json, table=calibrations.calibration_rows)
    lines.result({"source": adapter, "adapter": adapter, "tenant": tenant, **line})
    return lines.exit_code


def _untaken(made: RefitResult, holds: float | None, unknown: str) -> str:
    """Why `calibrate apply` would be refused; empty if it would not.

    Args:
        made: the tried calibration.
        holds: the risk that the policy states, or None.
        unknown: why that is unknown; empty if it is known.
    """
    if made.belief_after is None:
        return "there is nothing to apply"
    if unknown:
        return f"`smallprint calibrate apply` uses the policy's max_wrong, and {unknown}"
    if made.max_wrong != holds:
        stated = "none" if holds is None else f"{holds:g}"
        return (
            f"`smallprint calibrate apply` uses the policy's max_wrong, which is {stated}: "
            f"state {made.max_wrong:g} there first"
        )
    return ""


def _rules(data: Path | None, tenant: str) -> tuple[RiskRules, str]:
    """The policy rules of a tenant, or a reason that they are unknown."""

    policy = active_policy(data, tenant)
    if policy.known_by == "nothing":
        return policy.rules, policy.warning
    if policy.warning:
        print_hint(policy.warning)
    return policy.rules, ""
