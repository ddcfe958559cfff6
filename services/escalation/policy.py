"""The policy: who may be asked, what may leave the house, and for how much. One TOML file.

    [providers.claude]
    protocol = "anthropic"            # or openai, gemini; own: OpenAI's at an address of yours
    model = "claude-sonnet-4-6"
    key_env = "ANTHROPIC_API_KEY"     # or key_file = "/run/secrets/claude"

    [tenants.default]
    providers = ["claude"]            # in the order in which they are asked
    leaves = ["contract"]             # kinds of documents of which words may leave the house
    day_usd = "5"
    month_usd = "50"
    mask = ["parties", "amounts", "persons"]

`version = "…"` at the top is what the file calls itself. What may be accepted without a person
stands there as well (`shared/policy.py`).
What is not allowed here is not done: a tenant that the file does not name sends nothing out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.escalation.providers.base import Pace, Refused
from services.escalation.providers.post import Post
from services.escalation.providers.provider import (
    BATCHES,
    DIALECTS,
    ProtocolName,
    Provider,
)
from services.escalation.rules import Version, version_of
from shared.errors import SettingsError
from shared.events import Kind
from shared.policy import RiskRules, read_policy
from shared.prices import StatedPrice, Usd, price_of

Hidden = Literal["parties", "amounts", "persons"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
LOCAL = ("127.0.0.1", "localhost", "::1")
EVERY_ANSWER = "A person looks at every answer."
NO_RULES = {"key_env", "key_file", "requests_minute", "tokens_minute"}
"""What a policy says of a provider that decides nothing about any document."""


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
            raise ValueError("key_env or key_file, not both")
        if not (self.key_env or self.key_file or self.protocol == "own"):
            raise ValueError("it needs a key: key_env names a variable, key_file a file")
        if self.protocol == "own" and not self.url:
            raise ValueError("url is missing: where is it?")
        if self.inside and self.protocol != "own":
            raise ValueError('only a provider with protocol = "own" is inside the house')
        if self.url:
            self._check_url(urlsplit(self.url))
        return self

    def _check_url(self, parts: Any) -> None:
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url is not of the form https://host[:port][/path]")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("url has a user, a password or a query: a key goes into key_env")
        if parts.scheme == "http" and not (self.inside or parts.hostname in LOCAL):
            raise ValueError("url is http, by which words and key travel for all to read")


class _Tenant(RiskRules):
    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: tuple[Name, ...] = ()
    leaves: tuple[Kind, ...] = ()
    day_usd: Usd = Decimal(0)
    month_usd: Usd = Decimal(0)
    mask: tuple[Hidden, ...] = ()
    batch: Literal["never", "backlog"] = "never"


class _File(_Part):
    version: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")] = ""
    providers: dict[Name, _Provider] = Field(default_factory=dict)
    tenants: dict[str, _Tenant] = Field(default_factory=dict)


@dataclass(frozen=True)
class TenantPolicy:
    """What one tenant allows."""

    providers: tuple[Provider, ...] = ()
    leaves: frozenset[Kind] = frozenset()
    day_micro_usd: int = 0
    month_micro_usd: int = 0
    mask: frozenset[Hidden] = frozenset()
    batch: Literal["never", "backlog"] = "never"
    """Whether what waited too long for its turn goes with a batch."""
    trusted: str = ""
    """What is accepted without a person once a model has confirmed it, in words; empty: nothing."""

    def batch_provider(self, *kinds: Kind) -> Provider | None:
        """Who takes batches of those who may see words of a document of any of these kinds; None
        if nobody does, or may.
        """
        if self.batch == "never":
            return None
        return next((p for p in self.may_see(*kinds) if p.takes_batches), None)

    def may_see(self, *kinds: Kind) -> list[Provider]:
        """The providers that may see words of a document of whichever of these kinds, in order."""
        return [p for p in self.providers if p.inside or self.leaves.issuperset(kinds)]

    def names(self, provider: str) -> bool:
        """Whether it is one that the tenant may ask."""
        return any(p.name == provider for p in self.providers)

    def to_compare(self, name: str, most: int, *, batch: bool = False) -> Provider:
        """The provider that is to read whole contracts, with answers of so many tokens.

        Raises SettingsError: the tenant does not ask it, or keeps words of contracts in the house;
        or its batch interface is wanted, and not spoken here.
        """
        if not self.names(name):
            known = ", ".join(p.name for p in self.providers) or "none at all"
            raise SettingsError(f"the policy allows no provider {name}: there is {known}")
        for provider in self.may_see("contract"):
            if provider.name == name:
                if batch and not provider.takes_batches:
                    raise SettingsError(
                        f"{name} takes no batches, as far as is known here: only the interfaces of "
                        f"{' and '.join(BATCHES)} are spoken. Leave --batch out"
                    )
                return replace(provider, most=most)
        raise SettingsError(
            'words of contracts may not leave the house: the policy needs "contract" in `leaves`'
        )

    @property
    def summary(self) -> str:
        """In words, for people."""
        if not self.providers:
            return "Nothing leaves the house. Whatever a specialist is unsure of goes to a person."
        names = ", ".join(p.name for p in self.providers)
        kinds = " and ".join(k for k in get_args(Kind) if k in self.leaves)
        leaves = f"Words of documents of the kind {kinds} may leave" if kinds else "Nothing leaves"
        masked = f", {', '.join(sorted(self.mask))} masked" if kinds and self.mask else ""
        return (
            f"{leaves} the house{masked}. Asked, in this order: {names}; for at most US$ "
            f"{_usd(self.day_micro_usd)} a day and {_usd(self.month_micro_usd)} a month. "
            f"{self.trusted or EVERY_ANSWER}"
        )


CLOSED = TenantPolicy()


@dataclass(frozen=True)
class Policies:
    """What each tenant allows; without a file, nothing."""

    tenants: Mapping[str, TenantPolicy] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    """Of the rules of each tenant that the file names."""
    label: str = ""
    """What the file calls itself."""
    providers: tuple[Provider, ...] = ()
    """All that the file names, whether a tenant asks them or not."""

    def version(self, tenant: str) -> Version:
        """Which rules hold for a tenant; of one that the file does not name, those by default."""
        return self.versions.get(tenant) or _version(_Tenant(), {}, self.label)

    def of(self, tenant: str) -> TenantPolicy:
        """The policy of a tenant."""
        return self.tenants.get(tenant, CLOSED)

    def batch_providers(self) -> dict[str, Provider]:
        """Those that may be asked how a batch is, by name: also whom no tenant hands one in to any
        more.
        """
        asked = (p for policy in self.tenants.values() for p in policy.providers)
        return {p.name: p for p in (*self.providers, *asked) if p.takes_batches}

    def check_keys(self) -> None:
        """Raise SettingsError unless the key of every provider that may be asked is there. Only who
        asks needs them.
        """
        asked = {p.name: p for policy in self.tenants.values() for p in policy.providers}
        for provider in asked.values():
            try:
                provider.key()
            except Refused as error:
                raise SettingsError(error.message) from None


def read_policies(path: Path | None, post: Post | None = None) -> Policies:
    """The policies in a file; without one the door is closed.

    Raises SettingsError: the file can't be read, names something that is not there, or the price
    of a model is not known.
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
    """The version of one tenant's rules, with the providers that it asks. Where a key lies and how
    quickly a provider is asked is no rule, and what the file says of other tenants is none of this
    one's business.
    """
    rules = tenant.model_dump()
    for name in ("leaves", "mask", "always_person"):
        rules[name] = frozenset(rules[name])
    asked = {name: providers[name].model_dump(exclude=NO_RULES) for name in tenant.providers}
    return version_of({"tenant": rules, "providers": asked}, label)


def _provider(name: str, spec: _Provider, path: Path, post: Post) -> Provider:
    price = price_of(spec.protocol, spec.model, spec.url, spec.price)
    if price is None:
        raise SettingsError(
            f"the policy {path}: the price of {spec.model} at {name} is not known: state it, as in "
            'price = { input = "3", output = "15", as_of = 2026-01-31 } (US$ for a million tokens)'
        )
    return Provider(
        name=name,
        protocol=spec.protocol,
        model=spec.model,
        origin=spec.url or DIALECTS[spec.protocol].origin,
        price=price,
        key=_key(name, spec),
        seconds=spec.seconds,
        most=spec.most_tokens,
        structured=spec.structured,
        inside=spec.inside,
        pace=Pace(spec.requests_minute, spec.tokens_minute),
        post=post,
    )


def _key(name: str, spec: _Provider) -> Callable[[], str]:
    """What gives the key. It is read at each call and kept nowhere."""
    if spec.key_file:
        return partial(_read_key, name, spec.key_file)
    if spec.key_env:
        return partial(_look_up_key, name, spec.key_env)
    return str


def _look_up_key(name: str, variable: str) -> str:
    return _usable(os.environ.get(variable, ""), f"the variable {variable}", name)


def _read_key(name: str, path: Path) -> str:
    try:
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise Refused(f"the key of {name} can't be read: {path}: {error.strerror}") from None
    return _usable(text, f"the file {path}", name)


def _usable(text: str, where: str, name: str) -> str:
    key = text.strip()
    if not key:
        raise Refused(f"the key of {name} is missing: {where} is empty")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise Refused(f"the key of {name} can't be one: {where} has characters that no key has")
    return key


def _tenant(
    tenant: str, spec: _Tenant, providers: Mapping[str, Provider], path: Path
) -> TenantPolicy:
    if unknown := [name for name in spec.providers if name not in providers]:
        raise SettingsError(
            f"the policy {path}: tenants.{tenant} asks {', '.join(unknown)}, which the file does "
            "not have below providers"
        )
    chosen: Sequence[Provider] = [providers[name] for name in spec.providers]
    if spec.batch != "never" and not any(p.takes_batches for p in chosen):
        raise SettingsError(
            f"the policy {path}: tenants.{tenant} wants batches, and asks nobody who takes them: "
            f"providers with the protocol {' or '.join(BATCHES)} do"
        )
    return TenantPolicy(
        providers=tuple(chosen),
        leaves=frozenset(spec.leaves),
        day_micro_usd=int(spec.day_usd * 1_000_000),
        month_micro_usd=int(spec.month_usd * 1_000_000),
        mask=frozenset(spec.mask),
        batch=spec.batch,
        trusted=_trusted(spec),
    )


def _trusted(spec: RiskRules) -> str:
    """What a tenant accepts without a person once a model has confirmed it; empty if nothing."""
    stated = (("clauses", spec.max_wrong), ("findings", spec.findings.max_wrong))
    risks = [f"{risk * 100:g}% of {what}" for what, risk in stated if risk is not None]
    if spec.trust != "measured" or not risks:
        return ""
    return (
        "What a model confirms needs no person as soon as people's decisions on what that model "
        f"confirmed show, with {spec.level * 100:g}% confidence, that at most "
        f"{' and '.join(risks)} among it are wrong. A person looks at every other answer, at "
        f"all categories that always need one, and at {spec.sample_share * 100:g}% of the "
        "rest as a check."
    )


def _usd(micro: int) -> str:
    return f"{Decimal(micro) / 1_000_000:,.2f}"
