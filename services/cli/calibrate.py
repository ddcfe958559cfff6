"""The command `smallprint calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.promising import promising
from services.cli.specialists import ADAPTER
from shared.cli.lines import Lines
from shared.cli.options import data_option, one_json
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from shared.policy import RiskRules
    from shared.watch.calibrating import Refit


@click.command()
@click.argument("adapter", default=ADAPTER)
@click.option("--tenant", default="default", show_default=True, help="Whose decisions count.")
@click.option(
    "--max-wrong",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The risk to try it for; by default the policy's, the only one that can be applied.",
)
@click.option(
    "--with-shipped",
    is_flag=True,
    help="Count what came with the specialist too, as if your documents were like those.",
)
@click.option("--apply", "step", flag_value="apply", help="Let it hold from now on.")
@click.option("--undo", "step", flag_value="undo", help="Let what was before the last one hold.")
@click.option("--loosen", metavar="WHY", help="Accept again what was tightened, for this reason.")
@click.option("--by", "actor", help="Who does it; by default whoever is logged in here.")
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
    """Refit what ADAPTER accepts from what people decided here, and show before and after.

    ADAPTER is a specialist of contracts, or triage-breaks, which judges reports. Documents count of
    which all is decided; of what was accepted the checks stand for the rest.
    Nothing changes without --apply, which --undo takes back; the suite may be running. What checks
    have tightened is loosened by --apply, or by --loosen without a calibration.

    \b
    Examples:
      smallprint calibrate
      smallprint calibrate --apply --by ann
      smallprint calibrate --undo
      smallprint calibrate --loosen "the checks of March were decided by mistake"
      smallprint calibrate triage-breaks --max-wrong 0.2
    """
    import getpass

    from shared.cli import calibrations
    from shared.errors import InvalidRequest
    from shared.watch import calibrating

    if loosen is not None and step:
        raise click.UsageError("--loosen stands alone")
    if loosen is not None and not loosen.strip():
        raise click.UsageError("--loosen wants a reason, which is kept")
    side = promising(adapter, data)
    who = actor or getpass.getuser()
    lines = Lines(as_json=as_json, table=calibrations.shown)
    told: dict[str, Any] = {"source": adapter, "adapter": adapter, "tenant": tenant}
    with side.opened() as store:
        if loosen or step == "undo":
            with store.write() as session:
                watches = side.watches(session, tenant)
                if loosen:
                    said = calibrating.loosen(watches, adapter, loosen, who)
                else:
                    number = calibrating.undo(watches, adapter, who)
                    said = f"calibration {number} of {adapter} is undone"
            done = "loosened" if loosen else "undone"
            lines.result({**told, "done": done, "said": said})
            return lines.exit_code
        rules, unknown = _rules(data, tenant)
        if unknown and (max_wrong is None or step):
            raise InvalidRequest(unknown if step else f"{unknown}, or say --max-wrong")
        holds = side.max_wrong(rules)
        if step == "apply" and max_wrong not in (None, holds):
            stated = "no max_wrong" if holds is None else f"max_wrong {holds:g}"
            raise InvalidRequest(
                f"the policy states {stated} for {side.whose}tenant {tenant}, and what is applied "
                f"is held to that: state {max_wrong:g} there first, or apply without --max-wrong"
            )
        if max_wrong is not None:
            rules = side.at(rules, max_wrong)
        made = side.refitted(store, tenant, rules, with_shipped)
        done = "tried"
        said = f"nothing was changed: {_untaken(made, holds, unknown) or '--apply lets it hold'}"
        if step == "apply":
            with store.write() as session:
                number = calibrating.apply(side.watches(session, tenant), made, who)
            done = "applied"
            said = f"calibration {number} holds from the next document on; --undo takes it back"
    lines.result({**told, **made.to_json(), "done": done, "said": said})
    return lines.exit_code


def _untaken(made: Refit, holds: float | None, unknown: str) -> str:
    """Why --apply would not be taken; empty where it would.

    Args:
        made: what was tried.
        holds: the risk that the policy states; None: it states none.
        unknown: why it is not known what the policy states; empty: it is.
    """
    if made.belief_after is None:
        return "there is nothing that --apply could let hold"
    if unknown:
        return f"--apply holds to the policy's max_wrong, and {unknown}"
    if made.max_wrong != holds:
        stated = "none" if holds is None else f"{holds:g}"
        return (
            f"--apply holds to the policy's max_wrong, which is {stated}: state "
            f"{made.max_wrong:g} there first"
        )
    return ""


def _rules(data: Path | None, tenant: str) -> tuple[RiskRules, str]:
    """What the policy lets the machine accept of a tenant; or that it is not known."""
    from services.cli.in_force import in_force
    from services.escalation.settings import Settings
    from shared.settings import load

    found = in_force(load(Settings, **_given(data=data)), tenant)
    if found.known_by == "nothing":
        return found.rules, found.warning
    if found.warning:
        click.echo(found.warning, err=True)
    return found.rules, ""
