"""The policy file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from services.escalation.bootstrap import build
from services.escalation.policy.policy import CLOSED, EVERY_ANSWER, Policies, read_policies
from services.escalation.providers.provider import DIALECTS
from services.escalation.settings import Settings
from shared.errors import SettingsError
from shared.policy.prices import Usage, known_prices
from shared.settings import load

KEY = "sk-3c1f0a77-never-to-be-seen"
WHOLE = """
[providers.claude]
protocol = "anthropic"
model = "claude-sonnet-4-6"
key_env = "TEST_FRONTIER_KEY"

[providers.house]
protocol = "own"
model = "qwen"
url = "http://models.internal:8000"
inside = true
price = { input = "0", output = "0", as_of = 2026-01-31 }

[tenants.default]
providers = ["claude", "house"]
external_kinds = ["contract"]
day_usd = "0.5"
month_usd = 12
mask = ["parties"]

[tenants.careful]
providers = ["claude", "house"]
"""
HOUSE = (
    f"[providers.house]{WHOLE.partition('[providers.house]')[2].partition('[tenants.default]')[0]}"
)
HOUSE += "[tenants.default]\n"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_FRONTIER_KEY", KEY)


def read(folder: Path, text: str) -> Policies:
    path = folder / "policy.toml"
    path.write_text(text)
    policies = read_policies(path)
    policies.check_keys()
    return policies


def test_without_a_file_nothing_is_sent() -> None:
    policy = read_policies(None).of("default")
    assert policy == CLOSED
    assert policy.may_see("contract") == []
    assert policy.summary.startswith("No text is sent out.")


@pytest.mark.usefixtures("key")
def test_rules_of_tenants_decide_who_may_see_a_kind(tmp_path: Path) -> None:
    policies = read(tmp_path, WHOLE)
    policy = policies.of("default")
    assert [p.name for p in policy.may_see("contract")] == ["claude", "house"]
    assert [p.name for p in policy.may_see("report")] == ["house"]
    assert [p.name for p in policies.of("careful").may_see("contract")] == ["house"]
    assert policies.of("rivals").may_see("contract") == []
    assert (policy.day_micro_usd, policy.month_micro_usd) == (500_000, 12_000_000)
    assert policies.of("careful").day_micro_usd == 0
    assert (
        "Providers in order: claude, house. Budget: US$ 0.50 a day and 12.00 a month"
        in policy.summary
    )
    assert policies.of("careful").summary.startswith("No text is sent out. Providers")
    assert policy.summary.endswith(f" a month. {EVERY_ANSWER}")


@pytest.mark.usefixtures("key")
def test_the_summary_names_measured_trust(tmp_path: Path) -> None:
    measured = WHOLE.replace("day_usd", 'trust = "measured"\nday_usd')
    assert read(tmp_path, measured).of("default").summary.endswith(EVERY_ANSWER)
    stated = measured.replace("day_usd", "max_wrong = 0.07\nlevel = 0.9\nday_usd")
    summary = read(tmp_path, stated).of("default").summary
    assert EVERY_ANSWER not in summary
    assert "with 90% confidence that at most 7% of the clauses are wrong." in summary
    assert "review all other answers" in summary
    assert summary.endswith("and a sample of 5%.")
    findings = "\n[tenants.default.findings]\nmax_wrong = 0.2\nbroken = 0.5\n"
    both = read(tmp_path, f"{stated}{findings}").of("default").summary
    assert "at most 7% of the clauses and 20% of the findings" in both
    untrusted = stated.replace('trust = "measured"', 'trust = "person"')
    assert read(tmp_path, untrusted).of("default").summary.endswith(EVERY_ANSWER)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("claude-sonnet-4-6", "claude-unheard-of", "the price of claude-unheard-of"),
        ('price = { input = "0", output = "0", as_of = 2026-01-31 }', "", "the price of qwen"),
        ("inside = true", "", "url must be https"),
        ("models.internal:8000", "me:secret@models.internal", "url must not have a user"),
        ("models.internal:8000", "", "url must have the form"),
        ('url = "http://models.internal:8000"', "", "url is missing"),
        ('key_env = "TEST_FRONTIER_KEY"', "", "a key is missing"),
        ("TEST_FRONTIER_KEY", "TEST_NO_SUCH_KEY", "the variable TEST_NO_SUCH_KEY is empty"),
        ('key_env = "TEST_FRONTIER_KEY"', 'key_file = "/no/such"', "No such file"),
        (
            '["claude", "house"]',
            '["claude", "house", "other"]',
            "other, which is not under providers",
        ),
        (
            'external_kinds = ["contract"]',
            'external_kinds = ["contracts"]',
            "tenants.default.external_kinds.0",
        ),
        (
            'external_kinds = ["contract"]',
            'external_kind = ["contract"]',
            "tenants.default.external_kind: unknown key: did you mean external_kinds?",
        ),
        (
            'external_kinds = ["contract"]',
            'batch = "backlog"',
            "policy.toml: tenants.default.batch: unknown key: use one of",
        ),
        ('day_usd = "0.5"', 'day_usd = "-1"', "tenants.default.day_usd"),
        (
            'protocol = "anthropic"',
            'protocol = "anthropic"\ninside = true',
            "inside needs protocol",
        ),
        ("[tenants.default]", "[tenants.default", "can't be read"),
    ],
)
def test_a_mistake_is_named_without_secrets(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in WHOLE
    with pytest.raises(SettingsError) as error:
        read(tmp_path, WHOLE.replace(old, new))
    assert message in error.value.message
    assert KEY not in error.value.message
    assert "secret" not in error.value.message


def test_a_key_is_read_from_its_file_at_each_call(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")
    text = WHOLE.replace('key_env = "TEST_FRONTIER_KEY"', f'key_file = "{secret}"')
    claude = read(tmp_path, text).of("default").providers[0]
    assert claude.key() == KEY
    secret.write_text("another")
    assert claude.key() == "another"
    secret.write_text("two\nlines")
    with pytest.raises(SettingsError, match="unexpected characters"):
        read(tmp_path, text)


def test_only_who_asks_needs_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(WHOLE)
    service = build(load(Settings, data=tmp_path, bus_url="memory:", policy=path))
    make, *_ = service.jobs
    with pytest.raises(SettingsError, match="the variable TEST_FRONTIER_KEY is empty"):
        make(None)
    monkeypatch.setenv("TEST_FRONTIER_KEY", KEY)
    assert make(None).name == "recovery"
    service.close()


def test_an_empty_setting_means_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLPRINT_POLICY", "")
    assert load(Settings).policy is None


def test_known_prices_are_dated_and_of_known_protocols() -> None:
    prices = known_prices()
    assert set(prices) <= set(DIALECTS)
    found = [price for models in prices.values() for price in models.values()]
    assert len(found) >= 8
    for price in found:
        assert len(price.as_of) == 10
        assert 0 < price.of(Usage(1_000_000, 0)) <= price.of(Usage(0, 1_000_000))


@pytest.mark.usefixtures("key")
def test_a_known_price_is_not_assumed_at_another_address(tmp_path: Path) -> None:
    line = 'model = "claude-sonnet-4-6"'
    with pytest.raises(SettingsError, match="the price of claude-sonnet-4-6 at claude"):
        read(tmp_path, WHOLE.replace(line, f'{line}\nurl = "https://reseller.example"'))


@pytest.mark.usefixtures("key")
def test_the_version_depends_on_rules_alone(tmp_path: Path) -> None:
    plain = HOUSE + 'providers = ["house"]\nday_usd = "5"\nmask = ["parties", "amounts"]\n'
    first = read(tmp_path, plain).version("default")
    assert re.fullmatch("[0-9a-f]{12}", first.digest)
    assert hashlib.sha256(first.rules.encode()).hexdigest().startswith(first.digest)
    same = HOUSE + 'mask = ["amounts", "parties"]\nday_usd = "5.00"\nproviders = ["house"]\n'
    for text in (
        f"# why\n{same}",
        plain.replace('protocol = "own"', 'key_env = "TEST_FRONTIER_KEY"\nprotocol = "own"'),
        f"{plain}[tenants.acme]\nmax_wrong = 0.1\n",
    ):
        assert read(tmp_path, text).version("default") == first
    assert "TEST_FRONTIER_KEY" not in first.rules
    for text in (
        plain.replace('"5"', '"6"'),
        plain.replace("//models.", "//others."),
        f"{plain}max_wrong = 0.05\n",
    ):
        assert read(tmp_path, text).version("default").digest != first.digest
    named = read(tmp_path, f'version = "spring 2"\n{plain}').version("default")
    assert (named.digest, named.label) == (first.digest, "spring 2")


def test_an_unlisted_tenant_has_the_default_version(tmp_path: Path) -> None:
    closed = Policies().version("default")
    file = read(tmp_path, "[tenants.acme]\n")
    assert file.version("default") == file.version("acme") == closed
    assert closed.label == ""


@pytest.mark.parametrize("label", ['""', "3", '"a\\nb"', f'"{"v" * 65}"'])
def test_a_label_is_a_short_line(tmp_path: Path, label: str) -> None:
    with pytest.raises(SettingsError, match="version: "):
        read(tmp_path, f"version = {label}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tenants.default]\nmax_wrng = 0.1", "tenants.default.max_wrng: .*mean max_wrong[?]"),
        ("[tenants.a.findings]\nbrokn = 0.1", "tenants.a.findings.brokn: .*mean broken[?]"),
        ("[tenant.default]\nmax_wrong = 0.1", "tenant: .*mean tenants[?]"),
        (
            '[providers.a]\nprotocol = "own"\nmodel = "m"\nurl = "https://a.example"\n'
            'price = { input = "1", ouput = "1", output = "1", as_of = 2026-01-31 }',
            "providers.a.price.ouput: .*mean output[?]",
        ),
        (
            "[tenants.a.findings]\nxyzzy = 1",
            "findings.xyzzy: unknown key: use one of max_wrong, broken$",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=message):
        read_policies(path)
