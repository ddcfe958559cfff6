"""The risk rules of the policy file: what each tenant lets smallprint accept automatically.

    [tenants.default]
    max_wrong = 0.05                   # largest share of errors among accepted clauses
    max_missed = 0.2                   # largest share of true clauses that are not shown
    level = 0.95                       # confidence level of both
    always_person = ["Uncapped Liability"]   # categories that people always review
    sample_share = 0.05                # share of acceptable results in the hidden audit sample
    weights = { "Cap On Liability" = 5 }     # cost of a mistake by category; default 1
    mistake_usd = "0.25"               # value of a prevented mistake, for questions to models
    trust = "person"                   # see `RiskRules.trust`
    bulk_accept = false                # reviewers accept items one by one

    [tenants.default.findings]         # the same for findings in reports: see `FindingRules`
    max_wrong = 0.2
    broken = 0.5

Without `max_wrong`, or without a file, people review everything. The file also has the escalation
rules (`shared/policy/escalation_value.py`, `services/escalation/policy/policy.py`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import SettingsError
from shared.settings import CommonSettings

T = TypeVar("T", bound=BaseModel)


File = Annotated[Path | None, BeforeValidator(lambda path: path or None)]


class PolicySettings(CommonSettings):
    """The setting for the policy file."""

    policy: File = Field(
        None,
        description="TOML file of the policy: accepted risks, frontier models and budgets. Empty: "
        "people review everything, and no text goes to external services",
    )


class FindingRules(BaseModel):
    """The risk rules for findings in reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_wrong: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest share of errors among accepted findings; None: people review all findings."""
    broken: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the tenant's reports with an error. The guarantee depends on it. Without it people
    review all findings, unless the tenant has a calibration from its own decisions."""


class RiskRules(BaseModel):
    """The risk rules of a tenant."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_wrong: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_missed: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest share of true clauses that are not shown. A smaller share means more review."""
    level: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    always_person: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    sample_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    mistake_usd: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)] = Decimal("0.25")
    trust: Literal["person", "measured"] = "person"
    """`measured`: accept clauses that a frontier model confirmed, once decisions show at `level`
    that at most `max_wrong` of them are wrong. `person`: people review them."""
    weights: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Annotated[float, Field(gt=0, le=1_000)],
    ] = Field(default_factory=dict)
    bulk_accept: bool = True
    """Whether reviewers may accept several items at once, above a confidence that they state."""
    findings: FindingRules = FindingRules()


KIND_UNSURE = (
    "The guarantee does not cover documents of an unconfirmed kind, so people review all results."
)
"""Why a document of unconfirmed kind has no guarantee."""

REVIEW_ALL = RiskRules()
"""People review everything."""


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tenants: dict[str, RiskRules] = Field(default_factory=dict)


@dataclass(frozen=True)
class RiskPolicy:
    """The risk rules of all tenants."""

    tenants: Mapping[str, RiskRules] = field(default_factory=dict)

    def of(self, tenant: str) -> RiskRules:
        """Return the rules of a tenant."""
        return self.tenants.get(tenant, REVIEW_ALL)

    @property
    def categories(self) -> frozenset[str]:
        """All categories that some tenant reviews always."""
        return frozenset(name for rules in self.tenants.values() for name in rules.always_person)


def read_risk_policy(path: Path | None) -> RiskPolicy:
    """Read the risk rules of a policy file. Raises SettingsError."""
    return RiskPolicy(read_policy(path, _File).tenants) if path else RiskPolicy()


def read_policy(path: Path, form: type[T]) -> T:
    """Read a policy file as `form`. Raises SettingsError: unreadable or invalid."""
    try:
        return form.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"the policy file {path} can't be read: {reason}") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {_message(fault, form)}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"the policy file {path}: {wrong}") from None


def _message(error: ErrorDetails, form: type[BaseModel]) -> str:
    """The message of an error, with a suggestion for an unknown key."""
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    *path, key = error["loc"]
    known = list(_form_at(form, path).model_fields)
    similar = get_close_matches(str(key), known, 1)
    hint = f"did you mean {similar[0]}?" if similar else f"use one of {', '.join(known)}"
    return f"unknown key: {hint}"


def _form_at(form: Any, path: Sequence[int | str]) -> type[BaseModel]:
    """The form of a part of a file, found by its keys."""
    for key in path:
        form = get_args(form)[1] if get_origin(form) is dict else form.model_fields[key].annotation
        if get_origin(form) is not dict:  # an optional form
            form = next((f for f in get_args(form) if hasattr(f, "model_fields")), form)
    part: type[BaseModel] = form
    return part
