"""The escalation part of the policy file: providers, permitted documents and budgets.

    [providers.claude]
    protocol = "anthropic"            # or openai, gemini; own: OpenAI's at an address of yours
    model = "claude-sonnet-4-6"
    key_env = "ANTHROPIC_API_KEY"     # or key_file = "/run/secrets/claude"

    [tenants.default]
    providers = ["claude"]            # in the order in which they are asked
    external_kinds = ["contract"]             # kinds whose text may go to external providers
    day_usd = "5"
    month_usd = "50"
    mask = ["parties", "amounts", "persons"]

An optional `version = "…"` at the top labels the file. The same file has the risk rules
(`shared/policy/rules.py`). A tenant that the file does not name asks no provider.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.escalation.policy import Version, version_of
from services.escalation.providers.base import Pace, Refused
from services.escalation.providers.provider import DIALECTS, ProtocolName, Provider
from services.escalation.providers.transport import Post
from shared.errors import SettingsError
from shared.events import Kind
from shared.policy.prices import StatedPrice, Usd, price_of
from shared.policy.rules import RiskRules, read_policy

Hidden = Literal["parties", "amounts", "persons"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
LOCAL = ("127.0.0.1", "localhost", "::1")
EVERY_ANSWER = "People review every answer."
NO_RULES = {"key_env", "key_file", "requests_minute", "tokens_minute"}
"""Keys of a provider that do not affect results."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Provider(_Part):
    protocol: ProtocolName
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
    url: str = ""
    key_env: str = ""
    key_file: Path | None = None
    price: StatedPrice | None = None
    seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    most_tokens: Annotated[int, Field(ge=100, le=100_000)] = 2_000
    structured: Literal["schema", "json", "none"] = "schema"
    inside: bool = False
    requests_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    tokens_minute: Annotated[int, Field(ge=1_000, le=10_000_000_000)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.key_env) and bool(self.key_file):
            raise ValueError("use key_env or key_file, not both")
        if not (self.key_env or self.key_file or self.protocol == "own"):
            raise ValueError("a key is missing: set key_env or key_file")
        if self.protocol == "own" and not self.url:
            raise ValueError("url is missing")
        if self.inside and self.protocol != "own":
            raise ValueError('inside needs protocol = "own"')
        if self.url:
            self._check_url(urlsplit(self.url))
        return self

    def _check_url(self, parts: Any) -> None:
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must have the form https://host[:port][/path]")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url must not have a user, password or query: use key_env for a key")
        if parts.scheme == "http" and not (self.inside or parts.hostname in LOCAL):
            raise ValueError("url must be https: http sends text and key unencrypted")


class _Tenant(RiskRules):
    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: tuple[Name, ...] = ()
    external_kinds: tuple[Kind, ...] = ()
    day_usd: Usd = Decimal(0)
    month_usd: Usd = Decimal(0)
    mask: tuple[Hidden, ...] = ()


class _File(_Part):
    version: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")] = ""
    providers: dict[Name, _Provider] = Field(default_factory=dict)
    tenants: dict[str, _Tenant] = Field(default_factory=dict)


@dataclass(frozen=True)
class TenantPolicy:
    """The escalation rules of a tenant."""

    providers: tuple[Provider, ...] = ()
    external_kinds: frozenset[Kind] = frozenset()
    day_micro_usd: int = 0
    month_micro_usd: int = 0
    mask: frozenset[Hidden] = frozenset()
    trusted: str = ""  # a sentence about answers accepted without review; empty: none

    def may_see(self, *kinds: Kind) -> list[Provider]:
        """Return the providers that may see a document of any of these kinds, in order."""
        return [p for p in self.providers if p.inside or self.external_kinds.issuperset(kinds)]

    def names(self, provider: str) -> bool:
        """Whether the tenant may ask a provider."""
        return any(p.name == provider for p in self.providers)

    def to_compare(self, name: str, most: int) -> Provider:
        """Return the provider for comparisons, with answers of at most `most` tokens.

        Raises SettingsError: the tenant may not send contracts to it.
        """
        if not self.names(name):
            known = ", ".join(p.name for p in self.providers) or "none"
            raise SettingsError(
                f"the policy does not allow the provider {name}. Allowed: {known}. `--policy` or "
                "SMALLPRINT_POLICY names another policy file"
            )
        for provider in self.may_see("contract"):
            if provider.name == name:
                return replace(provider, most=most)
        raise SettingsError(
            'contracts may not go to external providers: add "contract" to `external_kinds` in the '
            "policy"
        )

    @property
    def summary(self) -> str:
        """The rules in words."""
        if not self.providers:
            return "No text is sent out. People review all uncertain results."
        names = ", ".join(p.name for p in self.providers)
        kinds = " and ".join(k for k in get_args(Kind) if k in self.external_kinds)
        sent = f"Text of {kinds} documents may be sent out" if kinds else "No text is sent out"
        masked = f", {', '.join(sorted(self.mask))} masked" if kinds and self.mask else ""
        micro = self.day_micro_usd, self.month_micro_usd
        day, month = (f"{Decimal(amount) / 1_000_000:,.2f}" for amount in micro)
        return (
            f"{sent}{masked}. Providers in order: {names}. Budget: US$ {day} a day and {month} a "
            f"month. {self.trusted or EVERY_ANSWER}"
        )


CLOSED = TenantPolicy()


@dataclass(frozen=True)
class Policies:
    """The escalation rules of all tenants."""

    tenants: Mapping[str, TenantPolicy] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    """The versions of the rules, by tenant."""
    label: str = ""  # the label of the file
    providers: tuple[Provider, ...] = ()  # all providers of the file

    def version(self, tenant: str) -> Version:
        """Return the version of a tenant's rules, or of the default rules."""
        return self.versions.get(tenant) or _version(_Tenant(), {}, self.label)

    def of(self, tenant: str) -> TenantPolicy:
        """Return the rules of a tenant."""
        return self.tenants.get(tenant, CLOSED)

    def check_keys(self) -> None:
        """Raise SettingsError if the key of a permitted provider is missing."""
        asked = {p.name: p for policy in self.tenants.values() for p in policy.providers}
        for provider in asked.values():
            try:
                provider.key()
            except Refused as error:
                raise SettingsError(error.message) from None


def read_policies(path: Path | None, post: Post | None = None) -> Policies:
    """Read a policy file. Without one, no tenant may ask a provider.

    Raises SettingsError: the file is invalid, or the price of a model is unknown.
    """
    if path is None:
        return Policies()
    file = read_policy(path, _File)
    sender = post or Post()
    providers = {name: _provider(name, spec, path, sender) for name, spec in file.providers.items()}
    return Policies(
        {name: _tenant(name, tenant, providers, path) for name, tenant in file.tenants.items()},
        {name: _version(one, file.providers, file.version) for name, one in file.tenants.items()},
        file.version,
        tuple(providers.values()),
    )


def _version(tenant: _Tenant, providers: Mapping[str, _Provider], label: str) -> Version:
    """The version of a tenant's rules and providers, without keys and rate limits."""
    rules = tenant.model_dump()
    for name in ("external_kinds", "mask", "always_person"):
        rules[name] = frozenset(rules[name])
    asked = {name: providers[name].model_dump(exclude=NO_RULES) for name in tenant.providers}
    return version_of({"tenant": rules, "providers": asked}, label)


def _provider(name: str, spec: _Provider, path: Path, post: Post) -> Provider:
    price = price_of(spec.protocol, spec.model, spec.url, spec.price)
    if price is None:
        raise SettingsError(
            f"the policy file {path}: the price of {spec.model} at {name} is unknown. State it: "
            'price = { input = "3", output = "15", as_of = 2026-01-31 } (US$ for a million tokens)'
        )
    return Provider(
        name=name,
        protocol=spec.protocol,
        model=spec.model,
        origin=spec.url or DIALECTS[spec.protocol].origin,
        price=price,
        key=partial(_key, name, spec),
        seconds=spec.seconds,
        most=spec.most_tokens,
        structured=spec.structured,
        inside=spec.inside,
        pace=Pace(spec.requests_minute, spec.tokens_minute),
        post=post,
    )


def _key(name: str, spec: _Provider) -> str:
    """Read the key; empty if the provider needs none."""
    if spec.key_file:
        where = f"the file {spec.key_file}"
        try:
            key = spec.key_file.read_text("ascii", "replace").strip()
        except OSError as error:
            what = f"{spec.key_file}: {error.strerror}"
            raise Refused(f"the key of {name} can't be read: {what}") from None
    elif spec.key_env:
        where, key = f"the variable {spec.key_env}", os.environ.get(spec.key_env, "").strip()
    else:
        return ""
    if not key:
        raise Refused(f"the key of {name} is missing: {where} is empty")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise Refused(f"the key of {name} is invalid: {where} has unexpected characters")
    return key


def _tenant(
    tenant: str, spec: _Tenant, providers: Mapping[str, Provider], path: Path
) -> TenantPolicy:
    if unknown := [name for name in spec.providers if name not in providers]:
        raise SettingsError(
            f"the policy file {path}: tenants.{tenant} names {', '.join(unknown)}, which is not "
            "under providers"
        )
    return TenantPolicy(
        providers=tuple(providers[name] for name in spec.providers),
        external_kinds=frozenset(spec.external_kinds),
        day_micro_usd=int(spec.day_usd * 1_000_000),
        month_micro_usd=int(spec.month_usd * 1_000_000),
        mask=frozenset(spec.mask),
        trusted=_trusted(spec),
    )


def _trusted(spec: RiskRules) -> str:
    """The sentence about answers accepted without review; empty: none."""
    stated = (("clauses", spec.max_wrong), ("findings", spec.findings.max_wrong))
    risks = [f"{risk * 100:g}% of the {what}" for what, risk in stated if risk is not None]
    if spec.trust != "measured" or not risks:
        return ""
    return (
        "Results that a model confirms are accepted, once decisions show with "
        f"{spec.level * 100:g}% confidence that at most {' and '.join(risks)} are wrong. "
        "People review all other answers, the categories that always need review, and a sample "
        f"of {spec.sample_share * 100:g}%."
    )
