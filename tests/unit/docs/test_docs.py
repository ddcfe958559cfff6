"""The links, targets, commands, settings and examples in the documentation exist."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.docs.settings import classes
from infra.servers.ports import free_port
from services.cli import cli
from services.escalation.policy.policy import read_policies
from services.triage.checks.verdict import triage_filing
from services.triage.statements.model import Filing, read_filings
from shared.settings import PREFIX
from tests.support import ROOT
from tests.unit.ingest.webhooks.builders import WebhookService

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*FRONT, *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = ROOT / "docs/tutorials/examples"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.M | re.DOTALL)
IDS = [path.relative_to(ROOT).as_posix() for path in PAGES]


def _blocks(*fences: str) -> list[tuple[Path, str]]:
    """The code blocks of these languages in all pages."""
    return [
        (path, block[3])
        for path in PAGES
        for block in FENCE.finditer(path.read_text("utf-8"))
        if block[2] in fences
    ]


def _prose(path: Path) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text("utf-8")))


def _anchors(path: Path) -> set[str]:
    """The anchors of the headings of a page, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text("utf-8")), re.M)
    words = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in words}


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            wrong.append(f"{target}#{anchor}" if anchor else target)
    assert not wrong


def test_files_and_names_in_the_guide_for_contributors_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    files = r"`((?:services|shared|models|tests|infra)/[\w./-]+)`"
    named = set(re.findall(files, text))
    assert len(named) > 10
    assert not [file for file in named if not (ROOT / file).exists()]
    within = re.findall(rf"`(\w+)` (?:in|of)\s+{files}", text)
    assert len(within) > 3
    assert not [name for name, file in within if name not in (ROOT / file).read_text("utf-8")]


def test_make_targets_exist() -> None:
    named = {
        target
        for _, block in _blocks("sh", "console", "bash")
        for target in re.findall(r"^(?:\$ )?make ([a-z][a-z-]*)", block, re.M)
    }
    for page in PAGES:
        named |= set(re.findall(r"`make ([a-z][a-z-]*)[^`]*`", page.read_text("utf-8")))
    assert len(named) >= 5
    assert not named - _targets()


def test_commands_exist() -> None:
    named = {
        command
        for _, block in _blocks("sh", "console", "bash")
        for command in re.findall(r"(?:^|\$ |\| )(?:\w+=\S* )*smallprint ([a-z-]+)", block, re.M)
    }
    for page in PAGES:
        named |= set(re.findall(r"`smallprint ([a-z][a-z-]*)[^`]*`", page.read_text("utf-8")))
    assert len(named) >= 15
    assert not named - set(cli.commands)


def test_settings_exist() -> None:
    known = {PREFIX + field.upper() for c in classes().values() for field in c.model_fields}
    known |= {f"{PREFIX}{name}" for name in ("PASSWORD", "KEY")}
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(rf"\b{PREFIX}[A-Z][A-Z_]*[A-Z]\b", text))
    assert named
    assert not {name for name in named - known if not name.startswith(f"{PREFIX}TEST_")}


def test_make_alone_prints_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"make ([a-z-]+) ", shown))
    assert listed == _targets()
    assert len(re.findall(r"^\S*(?:Use|Check|Develop)\S*$", shown, re.M)) == 3


def test_no_target_is_a_file() -> None:
    listed = MAKEFILE.replace("\\\n", " ").partition(".PHONY:")[2].split()
    assert sorted(listed) == sorted(_targets())


def _dry(target: str, *given: str, **settings: str) -> list[str]:
    """The commands of a target, as make would run them."""
    unset = ("SMALLPRINT_TEST_DATA", "SMALLPRINT_DATA")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    made = ["make", "--dry-run", "--no-print-directory", target, *given]
    result = subprocess.run(made, cwd=ROOT, env=env | settings, capture_output=True, text=True)
    return result.stdout.splitlines()


def test_a_retrained_forest_comes_with_its_guarantee() -> None:
    made = [re.search(r"-m (\S+)", line) for line in _dry("triage-breaks", "SOURCES=/data")]
    programs = [found.group(1) for found in made if found]
    assert programs[0] == "models.triage_breaks"
    assert {"models.triage_breaks.scores", "models.triage_breaks.guarantee"} < set(programs[1:])


def test_the_bench_of_triage_takes_the_data_that_is_named() -> None:
    data = f"{PREFIX}TEST_DATA"
    for given, settings, where in (
        ((), {}, ""),
        ((), {data: "/told"}, "/told"),
        (("SOURCES=/given",), {data: "/told"}, "/given"),
    ):
        assert f'{data}="{where}"' in _dry("bench-triage", *given, **settings)[-1]


@pytest.mark.parametrize(
    ("settings", "where"), [({}, "var/data"), ({"SMALLPRINT_DATA": "/elsewhere"}, "/elsewhere")]
)
def test_make_run_keeps_its_data_where_the_setting_says(
    settings: dict[str, str], where: str
) -> None:
    assert _dry("run", **settings)[-1].endswith(f"--data {where}")


@pytest.mark.parametrize("section", ["How good it is", "How it compares"])
def test_figures_of_the_readme_are_those_of_the_cards(section: str) -> None:
    text = (ROOT / "README.md").read_text("utf-8").partition(f"## {section}\n")[2]
    text = text.partition("\n## ")[0]
    cards = set(re.findall(r"\]\(([^)#]*CARD\.md)", text))
    known = "\n".join((ROOT / card).read_text("utf-8") for card in cards)
    figures = set(re.findall(r"\d+\.\d+%?", text.replace("Claude Opus 4.8", "")))
    assert len(figures) >= 4
    assert not {figure for figure in figures if figure not in known}


@pytest.mark.parametrize(
    ("name", "media_type", "check", "label"),
    [
        ("balance-sheet.csv", "text/csv", "balance_sheet_sums", "Total assets"),
        ("annual-report.json", "application/json", "income_sums", "Gross profit"),
    ],
)
def test_the_reports_of_the_tutorials_have_one_error(
    name: str, media_type: str, check: str, label: str
) -> None:
    data = (EXAMPLES / name).read_bytes()
    (filing,) = read_filings(io.BytesIO(data), media_type, name)
    assert isinstance(filing, Filing)
    assert not filing.warnings
    (finding,) = triage_filing(filing).findings
    assert (finding.check, finding.label) == (check, label)
    assert "two neighbouring digits are swapped" in finding.message


REPORTS = [
    *((page, text, "text/csv") for page, text in _blocks("csv") if text.startswith("Balance")),
    *((page, text, "application/json") for page, text in _blocks("json") if '"statements"' in text),
]


def test_the_tutorial_shows_the_balance_sheet_that_it_uses() -> None:
    page = ROOT / "docs/tutorials/first-report.md"
    shown = (EXAMPLES / "balance-sheet.csv").read_text("utf-8")
    assert shown in [text for at, text, _ in REPORTS if at == page]


@pytest.mark.parametrize(
    ("page", "text", "media_type"), REPORTS, ids=[f"{at.name}-{kind}" for at, _, kind in REPORTS]
)
def test_reports_within_pages_can_be_uploaded(page: Path, text: str, media_type: str) -> None:
    (filing,) = read_filings(io.BytesIO(text.encode()), media_type, page.name)
    assert isinstance(filing, Filing)
    assert not filing.warnings
    assert triage_filing(filing).findings


POLICIES = [(p, text) for p, text in _blocks("toml") if re.search(r"^\[providers\.", text, re.M)]


@pytest.mark.parametrize(("page", "text"), POLICIES, ids=[str(n) for n in range(len(POLICIES))])
def test_policy_files_in_pages_are_accepted(
    page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in re.findall(r'^key_env = "(\w+)"', text, re.M):
        monkeypatch.setenv(variable, "a-key-of-a-test")
    (tmp_path / "policy.toml").write_text(text, "utf-8")
    assert read_policies(tmp_path / "policy.toml").of("default").providers, page


RECEIVERS = [text for _, text in _blocks("python") if "webhook.verify(" in text]


@pytest.mark.parametrize("example", RECEIVERS)
def test_the_receiver_verifies_its_messages(example: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    hooks = WebhookService(tmp_path)
    made = hooks.register(url)
    env = {**os.environ, "WEBHOOK_SECRET": made["secret"], "PORT": str(port)}
    receiver = subprocess.Popen(
        [sys.executable, "-c", example], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        document = hooks.upload_new(b"A poem.", "poem.txt", kind="other")
        while hooks.states(made["id"]) != ["delivered"]:  # it may not listen yet
            assert receiver.poll() is None
            hooks.let_time_pass()
            hooks.send()
        (delivery,) = hooks.log(made["id"])
        assert receiver.stdout is not None
        line = receiver.stdout.readline().decode()
        assert line.startswith(f"{delivery['message_id']} document.ended ")
        assert document in line
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": "1",
            "webhook-signature": "v1,bm90IG91cnM=",
        }
        answer = httpx.post(url, content=b"{}", headers=headers, trust_env=False)
        assert answer.status_code == 401
    finally:
        receiver.kill()
        receiver.communicate()
        hooks.close()
