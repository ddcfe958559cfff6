"""The command `smallprint calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.active_policy import active_policy
from services.cli.deployment.calibrated_services import calibrated_service
from services.cli.deployment.specialists import ADAPTER
from services.cli.options import data_option, one_json, tenant_option
from services.cli.output import calibrations
from services.cli.output.lines import OutputWriter

if TYPE_CHECKING:
    from shared.monitoring.recalibration import RefitResult
    from shared.policy.rules import RiskRules


@click.command()
@click.argument("adapter", default=ADAPTER)
@tenant_option("Tenant whose decisions count.")
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Risk to try; by default that of the policy, the only one that you can apply.",
)
@click.option(
    "--with-shipped",
    is_flag=True,
    help="Add the shipped calibration set, as if your documents were similar.",
)
@click.option("--apply", "step", flag_value="apply", help="Use the new calibration from now on.")
@click.option("--undo", "step", flag_value="undo", help="Return to the previous calibration.")
@click.option("--loosen", metavar="WHY", help="Loosen a tightened limit, with a reason.")
@click.option("--by", "actor", help="Your name for the log; by default your login.")
@data_option
@one_json
def calibrate(
    adapter: str,
    tenant: str,
    max_wrong: float | None,
    with_shipped: bool,
    step: str | None,
    loosen: str | None,
    actor: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """Refit the acceptance limit with the decisions made here.

    Shows it before and after. ADAPTER is a specialist for contracts, or triage-breaks, which judges
    reports. Only documents with all results decided count; checked samples represent the other
    accepted results. Nothing changes without --apply. --undo takes the last one back. The suite may
    be running. If monitoring has tightened the limit, --apply loosens it, or --loosen without a
    calibration.

    \b
    Examples:
      smallprint calibrate
      smallprint calibrate --apply --by ann
      smallprint calibrate --undo
      smallprint calibrate --loosen "the checks of March were decided by mistake"
      smallprint calibrate triage-breaks --max-wrong 0.2
    """
    import getpass

    from shared.errors import InvalidRequest
    from shared.monitoring import recalibration

    if loosen is not None and step:
        raise click.UsageError("--loosen stands alone")
    if loosen is not None and not loosen.strip():
        raise click.UsageError("--loosen needs a reason, for the log")
    service = calibrated_service(adapter, data)
    who = actor or getpass.getuser()
    lines = OutputWriter(as_json=as_json, table=calibrations.calibration_rows)
    line: dict[str, Any] = {"source": adapter, "adapter": adapter, "tenant": tenant}
    with service.opened() as store:
        if loosen or step == "undo":
            with store.write() as session:
                monitoring = service.monitoring(session, tenant)
                if loosen:
                    message = recalibration.loosen(monitoring, adapter, loosen, who)
                else:
                    number = recalibration.undo_calibration(monitoring, adapter, who)
                    message = f"calibration {number} of {adapter} was undone"
            done = "loosened" if loosen else "undone"
            lines.result({**line, "done": done, "message": message})
            return lines.exit_code
        rules, unknown = _rules(data, tenant)
        if unknown and (max_wrong is None or step):
            raise InvalidRequest(unknown if step else f"{unknown}, or use --max-wrong")
        holds = service.max_wrong(rules)
        if step == "apply" and max_wrong not in (None, holds):
            stated = "no max_wrong" if holds is None else f"max_wrong {holds:g}"
            raise InvalidRequest(
                f"the policy states {stated} for {service.subject}tenant {tenant}, and --apply "
                f"uses that: state {max_wrong:g} there first, or apply without --max-wrong"
            )
        if max_wrong is not None:
            rules = service.at(rules, max_wrong)
        made = service.refitted(store, tenant, rules, with_shipped)
        done = "tried"
        message = (
            f"nothing was changed: {_untaken(made, holds, unknown) or 'use --apply to apply it'}"
        )
        if step == "apply":
            with store.write() as session:
                number = recalibration.apply_calibration(
                    service.monitoring(session, tenant), made, who
                )
            done = "applied"
            message = f"calibration {number} applies from the next document on; --undo reverts it"
    lines.result({**line, **made.to_json(), "done": done, "message": message})
    return lines.exit_code


def _untaken(made: RefitResult, holds: float | None, unknown: str) -> str:
    """Why --apply would be refused; empty if it would not.

    Args:
        made: the tried calibration.
        holds: the risk that the policy states, or None.
        unknown: why that is unknown; empty if it is known.
    """
    if made.belief_after is None:
        return "there is nothing to apply"
    if unknown:
        return f"--apply uses the policy's max_wrong, and {unknown}"
    if made.max_wrong != holds:
        stated = "none" if holds is None else f"{holds:g}"
        return (
            f"--apply uses the policy's max_wrong, which is {stated}: state "
            f"{made.max_wrong:g} there first"
        )
    return ""


def _rules(data: Path | None, tenant: str) -> tuple[RiskRules, str]:
    """The policy rules of a tenant, or a reason that they are unknown."""

    policy = active_policy(data, tenant)
    if policy.known_by == "nothing":
        return policy.rules, policy.warning
    if policy.warning:
        click.echo(policy.warning, err=True)
    return policy.rules, ""
