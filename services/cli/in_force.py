"""Which policy a suite works by: the one that it noted in escalation's database at its start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.cli.stores import stored

if TYPE_CHECKING:
    from services.escalation.rules import Held, Version
    from services.escalation.settings import Settings
    from shared.asking import AskRules
    from shared.policy import RiskRules

UNKNOWN = (
    "no policy is known here: a suite that starts with a policy file writes its policy down in the "
    "data folder, and none is written down in this one. Most likely the suite works without one. "
    "If it has one after all, set SMALLPRINT_POLICY to its file"
)

UNNOTED = (
    "the suite has noted no policy: taken to be in force is the file that SMALLPRINT_POLICY names "
    "here"
)


@dataclass(frozen=True)
class InForce:
    """The rules of a tenant that hold in a suite."""

    rules: RiskRules
    asks: AskRules
    version: Version
    known_by: Literal["suite", "file", "nothing"]
    """What says so: the suite itself, the file that SMALLPRINT_POLICY names here, or nothing: then
    they are those of no policy."""
    warning: str = ""
    """What to know of that."""


def in_force(settings: Settings, tenant: str) -> InForce:
    """What holds for a tenant in the suite of a data folder, as far as is known here.

    Raises SettingsError where the database is of another release, or the suite has noted nothing
    and the file that SMALLPRINT_POLICY names can't be read.
    """
    from services.escalation.policy import read_policies
    from shared.asking import SILENT, read_askers
    from shared.policy import EVERYTHING, read_risks

    path, none = settings.policy_file, read_policies(None).version(tenant)
    held, noted = _noted(settings, tenant)
    if held:
        warning = _other(path, tenant, held.version, f"since {held.since:%Y-%m-%d %H:%M} UTC")
        return _held(held, tenant, warning)
    if noted:  # the file of the suite does not name this tenant
        warning = _other(path, tenant, none, f"whose file says nothing of {tenant}")
        return InForce(EVERYTHING, SILENT, none, "suite", warning)
    mine = read_policies(path).version(tenant)
    risks, asks = read_risks(path).of(tenant), read_askers(path).of(tenant)
    if path is None:
        return InForce(risks, asks, mine, "nothing", UNKNOWN)
    warning = "" if noted is None else UNNOTED
    return InForce(risks, asks, mine, "file", warning)


def _noted(settings: Settings, tenant: str) -> tuple[Held | None, bool | None]:
    """The version that holds for a tenant, and whether any is noted, of whichever tenant; None: no
    suite has a database here.
    """
    from services.escalation.rules import PolicyHistory
    from services.escalation.rules.store import any_noted
    from services.escalation.store import MIGRATIONS

    url = settings.escalation_database_url
    if not url and not (settings.data / "escalation.db").is_file():
        return None, None
    with stored(settings, "escalation", url, MIGRATIONS) as store, store.read() as session:
        newest = PolicyHistory(session, tenant).newest(1)
        return (newest[0] if newest else None), any_noted(session)


def _held(held: Held, tenant: str, warning: str) -> InForce:
    """The rules of a version that was noted."""
    from shared.asking import askers_in
    from shared.policy import RiskRules

    said = json.loads(held.version.rules)
    file = {"providers": said["providers"], "tenants": {tenant: said["tenant"]}}
    rules, asks = RiskRules.model_validate(said["tenant"]), askers_in(file).of(tenant)
    return InForce(rules, asks, held.version, "suite", warning)


def _other(path: Path | None, tenant: str, theirs: Version, which: str) -> str:
    """What is said where the file that is named here has other rules than the suite, or none."""
    from services.escalation.policy import read_policies
    from shared.errors import SettingsError

    if path is None:
        return ""
    try:
        mine = read_policies(path).version(tenant).digest
    except SettingsError as error:
        return f"{error.message}: the rules that the suite has ({theirs.digest}, {which}) count"
    if mine == theirs.digest:
        return ""
    return (
        f"SMALLPRINT_POLICY names here a file with other rules ({mine}) than the suite has "
        f"({theirs.digest}, {which}): those of the suite count, which reads a changed file when it "
        "starts"
    )
