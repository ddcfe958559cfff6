"""The policy file, as far as every service may read it: what a tenant lets the machine accept.

    [tenants.default]
    max_wrong = 0.05                   # of what no person looks at, at most this share may be wrong
    max_missed = 0.2                   # of the true clauses, at most this share is not shown
    level = 0.95                       # with this confidence
    always_person = ["Uncapped Liability"]   # categories that a person looks at whatever the risk
    sample_share = 0.05                # of what was accepted goes to a person unmarked, as a check
    weights = { "Cap On Liability" = 5 }     # what a mistake costs beside others, which weigh 1
    mistake_usd = "0.25"               # what a prevented one is worth, where a model may be asked
    trust = "person"                   # who looks at what a model confirmed: see `RiskRules`

    [tenants.default.findings]         # of reports; the same for their findings, see `FindingRules`
    max_wrong = 0.2
    broken = 0.5

The same file says whom escalation may ask (`services/escalation/policy.py`), and `shared/asking.py`
whether that is worth its price. Without `max_wrong`, and without a file, a person looks at
everything.
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
    """Where the policy lies."""

    policy: File = Field(
        None,
        description="TOML file of the policy: what may be accepted without a person, which "
        "frontier models may be asked what, and for how much; empty: a person looks at all, and "
        "nothing leaves the house",
    )
    escalation_policy: File = Field(
        None,
        description="deprecated: the former name of `SMALLPRINT_POLICY`, read where that is empty",
    )

    @property
    def policy_file(self) -> Path | None:
        """The file, whichever of its names says where."""
        return self.policy or self.escalation_policy


class FindingRules(BaseModel):
    """What a tenant says about wrong findings of reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_wrong: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the findings that no person looks at, at most this share may be wrong; without it a person
    looks at all."""
    broken: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the tenant's reports that have an error, on which that hangs: whoever does not state
    it is promised nothing, and a person looks at all, unless the tenant's own decisions have made a
    calibration."""


class RiskRules(BaseModel):
    """What a tenant says about being wrong."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    max_wrong: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_missed: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the true clauses at most this share is not shown: the smaller, the more people look at."""
    level: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95
    always_person: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    sample_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    mistake_usd: Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)] = Decimal("0.25")
    trust: Literal["person", "measured"] = "person"
    """Who looks at a clause that a frontier model confirmed: a person, or nobody once people's
    decisions on what that model confirmed show at `level` that at most `max_wrong` of it is wrong.
    """
    weights: dict[
        Annotated[str, Field(min_length=1, max_length=200)],
        Annotated[float, Field(gt=0, le=1_000)],
    ] = Field(default_factory=dict)
    findings: FindingRules = FindingRules()


KIND_UNSURE = (
    "not guaranteed: of what kind the document is, is not sure, so that a person looks at all of it"
)
"""Why nothing is promised for a document of which a person is to say the kind."""

EVERYTHING = RiskRules()
"""A person looks at everything."""


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tenants: dict[str, RiskRules] = Field(default_factory=dict)


@dataclass(frozen=True)
class Risks:
    """The rules of each tenant."""

    tenants: Mapping[str, RiskRules] = field(default_factory=dict)

    def of(self, tenant: str) -> RiskRules:
        """The rules of a tenant."""
        return self.tenants.get(tenant, EVERYTHING)

    @property
    def categories(self) -> frozenset[str]:
        """All that somebody wants a person for."""
        return frozenset(name for rules in self.tenants.values() for name in rules.always_person)


def read_risks(path: Path | None) -> Risks:
    """The rules in a policy file. Raises SettingsError: it can't be read, or a rule is wrong."""
    return Risks(read_policy(path, _File).tenants) if path else Risks()


def read_policy(path: Path, form: type[T]) -> T:
    """A policy file in the form that is asked for.

    Raises SettingsError: it can't be read, or something in it is wrong.
    """
    try:
        return form.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the policy {path} can't be read: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {_fault(one, form)}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"the policy {path}: {wrong}") from None


def _fault(error: ErrorDetails, form: type[BaseModel]) -> str:
    """What is wrong, in words; of a key that means nothing here the one that it is like."""
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    *place, key = error["loc"]
    known = list(_form_at(form, place).model_fields)
    like = get_close_matches(str(key), known, 1)
    return f"there is no such key: {f'did you mean {like[0]}?' if like else ', '.join(known)}"


def _form_at(form: Any, place: Sequence[int | str]) -> type[BaseModel]:
    """The form of a part of a file, by the keys that lead to it; those of tenants and providers are
    anything.
    """
    for key in place:
        form = get_args(form)[1] if get_origin(form) is dict else form.model_fields[key].annotation
        if get_origin(form) is not dict:  # it may be left out: the form or none
            form = next((f for f in get_args(form) if hasattr(f, "model_fields")), form)
    known: type[BaseModel] = form
    return known
