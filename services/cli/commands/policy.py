"""The commands `smallprint policy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.deployment.active_policy import active_policy
from services.cli.deployment.stores import has_database, open_store
from services.cli.documents.files import saved_file
from services.cli.options import data_option, load_settings, one_json, tenant_option
from services.cli.output import policies
from services.cli.output.lines import OutputWriter
from services.cli.policy_simulation import tried_policies

if TYPE_CHECKING:
    from services.escalation.policy.policy import TenantPolicy
    from shared.settings import CommonSettings


@click.group()
def policy() -> None:
    """Try a policy file before the suite uses it.

    A policy says which results may be accepted without review, and which frontier models may be
    asked.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --json
    """


@policy.command("try")
@click.argument("source", metavar="POLICY", type=click.Path(dir_okay=False, allow_dash=True))
@tenant_option("Tenant of the documents.")
@data_option
@one_json
def policy_try(source: str, tenant: str, data: Path | None, as_json: bool) -> int:
    """Try a POLICY file on the documents of a data folder.

    Compares it with the active policy. The active policy is the one that the suite stored at its
    start; otherwise the file that SMALLPRINT_POLICY names.

    The output shows which clauses and findings would be accepted, what a model would be asked and
    at what price, and what people would review. Expected errors are the wrong ones among the
    accepted: by decisions made here or by the calibration of each specialist, whichever is higher.
    It also shows how many of the accepted results people have rejected or corrected.

    Reports without stored statements can't be tried, and are counted. Signals, narrative flags,
    questions about kinds and pages, and another max_missed are not tried. Nothing is changed, and
    the suite may be running.

    \b
    Examples:
      smallprint policy try careful.toml
      smallprint policy try careful.toml --tenant acme --data ~/smallprint-data
    """
    from services.escalation.estimates import estimate
    from services.escalation.policy.policy import read_policies
    from services.extraction.routing.routes import check_categories
    from shared.inference.adapters import labels_in
    from shared.policy.escalation_value import read_escalation_rules
    from shared.policy.rules import read_risk_policy

    settings = load_settings(data)
    with saved_file(source) as file:
        tried = read_policies(file)  # checks the providers too
        new, asks = read_risk_policy(file), read_escalation_rules(file).of(tenant)
    now = active_policy(data, tenant)
    labels = labels_in(settings.artefacts_folder, settings.adapters_folder)
    check_categories(new.categories, labels)
    lines = OutputWriter(as_json=as_json, table=policies.policy_rows)
    sides = [(now.rules, now.asks), (new.of(tenant), asks)]
    line = tried_policies(settings, tenant, sides)
    for name, version in (("now", now.version), ("tried", tried.version(tenant))):
        line[name]["version"] = {"digest": version.digest, "label": version.label}
    for name, (_, one) in zip(("now", "tried"), sides, strict=True):
        line[name]["budget_usd"] = {"day": float(one.day_usd), "month": float(one.month_usd)}
    line["tried"]["budget_missing"] = _without_budget(tried.of(tenant))
    for block, reserved_amount in (
        (line, estimate(tried.of(tenant), "contract")),
        (line["reports"], estimate(tried.of(tenant), "report")),
    ):
        block["now"]["known_by"] = now.known_by
        block["tried"]["reserved_usd"] = asdict(reserved_amount) if reserved_amount else None
    line["warnings"] = [now.warning] if now.warning else []
    line["tenants"] = _tenants(settings, sorted(new.tenants))
    lines.result({"source": source, "tenant": tenant, **line})
    return lines.exit_code


def _without_budget(policy: TenantPolicy) -> list[str]:
    """The missing budgets of a tenant without which it can ask no model; empty if it asks none
    anyway.
    """
    stated = {"day_usd": policy.day_micro_usd, "month_usd": policy.month_micro_usd}
    missing = [name for name, micro_usd in stated.items() if not micro_usd]
    return missing if policy.providers or len(missing) < len(stated) else []


def _tenants(settings: CommonSettings, named: Sequence[str]) -> dict[str, Any]:
    """The tenants that a file names. `unknown` are those without a key in the suite, each with the
    most similar known one, or null.
    """
    from services.ingest.store import KeyRows

    tenants: set[str] = set()
    if has_database(settings, "ingest"):
        with open_store(settings, "ingest") as store, store.read() as session:
            tenants = {key.tenant for key in KeyRows(session).list(None)}
    unknown = [
        {"tenant": one, "like": next(iter(get_close_matches(one, sorted(tenants), 1)), None)}
        for one in named
        if one not in tenants
    ]
    return {"named": list(named), "unknown": unknown if tenants else None}
