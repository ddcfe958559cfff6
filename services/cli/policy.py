"""The commands `smallprint policy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.stores import stored
from services.cli.trying import tried_policies
from shared.cli.lines import Lines
from shared.cli.options import data_option, one_json
from shared.cli.options import given as _given

if TYPE_CHECKING:
    from services.escalation.policy import TenantPolicy
    from shared.settings import CommonSettings


@click.group()
def policy() -> None:
    """Policies: what may be accepted, and who may be asked.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --json
    """


@policy.command("try")
@click.argument("file", metavar="POLICY", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--tenant", default="default", show_default=True, help="Whose documents are tried.")
@data_option
@one_json
def policy_try(file: Path, tenant: str, data: Path | None, as_json: bool) -> int:
    """Try the POLICY file on the documents of a data folder, beside the policy in force.

    That is the one that the suite noted when it started; where it has noted none, the file that
    SMALLPRINT_POLICY names.

    Each document counts as it was read: what would be accepted of the clauses of contracts and of
    the findings of reports, what a model would be asked and for how much, and what people would
    look at. Expected errors are those among the accepted: by what people decided here about such
    results, checks among them, or by the calibration set of each specialist, whichever is worse;
    beside them is how many of the accepted people have rejected or corrected.

    Reports that were checked by a release before this one can't be tried until they are read again,
    and are counted. Signals, sentences about the filer, and questions about kinds and pages are not
    tried, nor is what another max_missed would show. Nothing is changed, and a suite may be
    running.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --data var/data-kafka
    """
    from services.cli.in_force import in_force
    from services.escalation.policy import read_policies
    from services.escalation.reserving import reserved
    from services.escalation.settings import Settings
    from services.extraction.routing import refuse_unknown_categories
    from shared.asking import read_askers
    from shared.cli import policies
    from shared.inference.adapters import labels_in
    from shared.policy import read_risks
    from shared.settings import load

    settings = load(Settings, **_given(data=data))
    whole = read_policies(file)  # also what is said of providers
    new, now = read_risks(file), in_force(settings, tenant)
    known = labels_in(settings.artefacts_folder, settings.adapters_folder)
    refuse_unknown_categories(new.categories, known)
    lines = Lines(as_json=as_json, table=policies.shown)
    sides = [(now.rules, now.asks), (new.of(tenant), read_askers(file).of(tenant))]
    line = tried_policies(settings, tenant, sides)
    for name, one in (("now", now.version), ("tried", whole.version(tenant))):
        line[name]["version"] = {"digest": one.digest, "label": one.label}
    for name, (_, asks) in zip(("now", "tried"), sides, strict=True):
        line[name]["budget_usd"] = {"day": float(asks.day_usd), "month": float(asks.month_usd)}
    line["tried"]["budget_missing"] = _without_budget(whole.of(tenant))
    for block, aside in (
        (line, reserved(whole.of(tenant), "contract")),
        (line["reports"], reserved(whole.of(tenant), "report")),
    ):
        block["now"]["known_by"] = now.known_by
        block["tried"]["reserved_usd"] = asdict(aside) if aside else None
    line["warnings"] = [now.warning] if now.warning else []
    line["tenants"] = _tenants(settings, sorted(new.tenants))
    lines.result({"source": str(file), "tenant": tenant, **line})
    return lines.exit_code


def _without_budget(policy: TenantPolicy) -> list[str]:
    """The budgets for lack of which a tenant asks nobody; none where it is to ask nobody anyway."""
    stated = {"day_usd": policy.day_micro_usd, "month_usd": policy.month_micro_usd}
    missing = [name for name, micro_usd in stated.items() if not micro_usd]
    return missing if policy.providers or len(missing) < len(stated) else []


def _tenants(settings: CommonSettings, named: Sequence[str]) -> dict[str, Any]:
    """The tenants that a file names; `unknown` are those of which the suite has no key and never
    had one, each with the one that it is like, and null where it is not known which it has.
    """
    from services.ingest.settings import Settings
    from services.ingest.store import MIGRATIONS, KeyRows
    from shared.settings import load

    url = load(Settings, **_given(data=settings.data)).ingest_database_url
    known: set[str] = set()
    if url or (settings.data / "ingest.db").is_file():
        with stored(settings, "ingest", url, MIGRATIONS) as store, store.read() as session:
            known = {key.tenant for key in KeyRows(session).list(None)}
    unknown = [
        {"tenant": one, "like": next(iter(get_close_matches(one, sorted(known), 1)), None)}
        for one in named
        if one not in known
    ]
    return {"named": list(named), "unknown": unknown if known else None}
