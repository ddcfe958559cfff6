"""The policy that a suite stored in escalation's database when it started."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.cli.deployment.stores import has_database, open_store
from services.cli.options import given
from services.cli.output.lines import minute

if TYPE_CHECKING:
    from services.escalation.policy import PolicyVersion, Version
    from shared.policy.escalation_value import TenantEscalationRules
    from shared.policy.rules import RiskRules
    from shared.settings import CommonSettings

UNKNOWN = (
    "no policy is known here: the suite of this data folder was started without a policy file. If "
    "there is one, set SMALLPRINT_POLICY to it"
)

UNNOTED = "the suite has stored no policy, so the file in SMALLPRINT_POLICY counts as active"


@dataclass(frozen=True)
class ActivePolicy:
    """The policy rules of a tenant."""

    rules: RiskRules
    asks: TenantEscalationRules
    version: Version
    known_by: Literal["suite", "file", "nothing"]
    """Source of the rules: the suite, the file that SMALLPRINT_POLICY names here, or `nothing` (the
    defaults without a policy).
    """
    warning: str = ""  # a warning about the source, or empty


def active_policy(data: Path | None, tenant: str) -> ActivePolicy:
    """The policy of a tenant in the suite of a data folder.

    Raises SettingsError if the database is of another version, or if the suite has stored nothing
    and the file that SMALLPRINT_POLICY names can't be read.
    """
    from services.escalation.policy.policy import read_policies
    from services.escalation.settings import Settings
    from shared.policy.escalation_value import NO_ESCALATION, read_escalation_rules
    from shared.policy.rules import REVIEW_ALL, read_risk_policy
    from shared.settings import load

    settings = load(Settings, **given(data=data))
    path, none = settings.policy, read_policies(None).version(tenant)
    stored, any_stored = _stored(settings, tenant)
    if stored:
        warning = _warning_of_other(path, tenant, stored.version, f"since {minute(stored.since)}")
        return _from_stored(stored, tenant, warning)
    if any_stored:  # the file of the suite does not name this tenant
        warning = _warning_of_other(path, tenant, none, f"whose file does not name {tenant}")
        return ActivePolicy(REVIEW_ALL, NO_ESCALATION, none, "suite", warning)
    own = read_policies(path).version(tenant)
    risks, asks = read_risk_policy(path).of(tenant), read_escalation_rules(path).of(tenant)
    if path is None:
        return ActivePolicy(risks, asks, own, "nothing", UNKNOWN)
    warning = "" if any_stored is None else UNNOTED
    return ActivePolicy(risks, asks, own, "file", warning)


def _stored(settings: CommonSettings, tenant: str) -> tuple[PolicyVersion | None, bool | None]:
    """The policy version of a tenant, and whether any tenant has one; None without a database."""
    from services.escalation.policy import PolicyHistory
    from services.escalation.policy.store import any_noted

    if not has_database(settings, "escalation"):
        return None, None
    with open_store(settings, "escalation") as store, store.read() as session:
        newest = PolicyHistory(session, tenant).newest(1)
        return (newest[0] if newest else None), any_noted(session)


def _from_stored(stored: PolicyVersion, tenant: str, warning: str) -> ActivePolicy:
    from shared.policy.escalation_value import parse_escalation_rules
    from shared.policy.rules import RiskRules

    stored_rules = json.loads(stored.version.rules)
    file = {"providers": stored_rules["providers"], "tenants": {tenant: stored_rules["tenant"]}}
    rules, asks = (
        RiskRules.model_validate(stored_rules["tenant"]),
        parse_escalation_rules(file).of(tenant),
    )
    return ActivePolicy(rules, asks, stored.version, "suite", warning)


def _warning_of_other(path: Path | None, tenant: str, suite_version: Version, which: str) -> str:
    """The warning if the file named here has other rules than the suite."""
    from services.escalation.policy.policy import read_policies
    from shared.errors import SettingsError

    if path is None:
        return ""
    try:
        own = read_policies(path).version(tenant).digest
    except SettingsError as error:
        return f"{error.message}: the policy of the suite applies ({suite_version.digest}, {which})"
    if own == suite_version.digest:
        return ""
    return (
        f"the file in SMALLPRINT_POLICY ({own}) differs from the policy of the suite "
        f"({suite_version.digest}, {which}): the policy of the suite applies; restart the "
        "suite to load the file"
    )
