"""The policy file says what smallprint may accept for a tenant; mistakes stop the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.escalation.policy.policy import read_policies
from shared.errors import SettingsError
from shared.policy.rules import REVIEW_ALL, read_risk_policy

WHOLE = """
[providers.house]
protocol = "own"
model = "qwen"
url = "http://models.internal:8000"
inside = true
price = { input = "0", output = "0", as_of = 2026-01-31 }

[tenants.default]
providers = ["house"]
max_wrong = 0.05
level = 0.9
always_person = ["Uncapped Liability"]
sample_share = 0.1

[tenants.careful]
day_usd = "1"
"""


def written(folder: Path, text: str) -> Path:
    """A policy file of that text."""
    path = folder / "policy.toml"
    path.write_text(text, "utf-8")
    return path


def test_one_file_says_what_is_accepted_and_whom_to_ask(tmp_path: Path) -> None:
    """Each service reads its own part of it, and both know the whole."""
    path = written(tmp_path, WHOLE)
    rules = read_risk_policy(path).of("default")
    assert (rules.max_wrong, rules.level, rules.sample_share) == (0.05, 0.9, 0.1)
    assert rules.always_person == ("Uncapped Liability",)
    assert [p.name for p in read_policies(path).of("default").providers] == ["house"]


def test_a_tenant_says_what_a_mistake_costs(tmp_path: Path) -> None:
    """By category; what is not named weighs 1 in the queue, and nothing weighs nothing."""
    text = WHOLE.replace("sample_share = 0.1", 'weights = { "Cap On Liability" = 5 }')
    path = written(tmp_path, text)
    assert read_risk_policy(path).of("default").weights == {"Cap On Liability": 5.0}
    assert read_policies(path).of("default").names("house"), "escalation knows the line as well"
    assert read_risk_policy(path).of("careful").weights == {}
    path = written(tmp_path, text.replace("= 5 }", "= 0 }"))
    with pytest.raises(SettingsError, match=r"weights.*Cap On Liability"):
        read_risk_policy(path)


def test_who_states_no_risk_has_a_person_look_at_everything(tmp_path: Path) -> None:
    """Without a file, as a tenant that it does not name, and as one that says nothing of risk."""
    assert read_risk_policy(None).of("default") == REVIEW_ALL
    risks = read_risk_policy(written(tmp_path, WHOLE))
    assert risks.of("stranger") == REVIEW_ALL
    assert risks.of("careful").max_wrong is None


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("max_wrong = 0", "max_wrong"),
        ("max_wrong = 5", "max_wrong"),
        ("level = 1.0", "level"),
        ("sample_share = -0.1", "sample_share"),
        ('always_person = [""]', "always_person"),
    ],
)
def test_a_wrong_rule_stops_the_start_and_is_named(tmp_path: Path, line: str, key: str) -> None:
    """In extraction as in escalation."""
    path = written(tmp_path, f"[tenants.default]\n{line}\n")
    for read in (read_risk_policy, read_policies):
        with pytest.raises(SettingsError, match=rf"policy\.toml: tenants\.default\.{key}"):
            read(path)


def test_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    """A misspelt one would be one that is not kept."""
    with pytest.raises(SettingsError, match="max_rong"):
        read_policies(written(tmp_path, "[tenants.default]\nmax_rong = 0.05\n"))


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """Missing, or not TOML."""
    with pytest.raises(SettingsError, match="there is no such file"):
        read_risk_policy(tmp_path / "missing.toml")
    with pytest.raises(SettingsError, match="can't be read"):
        read_risk_policy(written(tmp_path, "[tenants"))
