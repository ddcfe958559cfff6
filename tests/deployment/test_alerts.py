"""Alerts, dashboards and runbooks, held against what the services really export."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from services.cli import cli
from services.ingest.webhooks.sender import Sender
from shared import metrics
from tests.architecture.source import SERVICES
from tests.support import ROOT, require

PROMETHEUS = ROOT / "infra" / "prometheus"
GRAFANA = ROOT / "infra" / "grafana"
RUNBOOKS = ROOT / "docs" / "how-to" / "runbooks"
SENT_BY_COMMANDS = {"docs/how-to/runbooks/restore.md"}
"""Pages that people are sent to by a command, `smallprint verify`, and by no alert."""
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
WEBHOOKS = "webhooks"
"""The one stage that is no event."""
CONTRACT = {
    "documents_total": ["outcome", "kind"],
    "stage_seconds": ["service", "stage"],
    "queue_age_seconds": ["service"],
    "bus_lag": ["service"],
    "dead_letters_total": ["service"],
    "tokens_total": ["adapter"],
    "clauses_total": ["route"],
    "findings_total": ["route"],
    "escalation_spend_usd_total": ["provider"],
    "sample_error_rate": ["adapter"],
    "calibration_drift": ["adapter"],
}
"""The metrics that were agreed on, and their labels."""
OF_A_TARGET = ("job", "instance", "process", "pod")
"""Labels of every scraped target; `pod` only in a cluster."""
_METRIC = re.compile(r"\b(smallprint_\w+|up)\b")
_BY = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_MATCHED = re.compile(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)")


def _labels() -> dict[str, set[str]]:
    """The labels of each series that processes export, by its name."""
    found = {"up": set(OF_A_TARGET)}
    for one in vars(metrics).values():
        names = getattr(one, "_labelnames", None)
        if names is None:
            continue
        name, kind = str(one._name), str(one._type)
        if kind == "histogram":
            for end in ("_bucket", "_sum", "_count"):
                found[name + end] = {*names, *({"le"} if end == "_bucket" else ())}
        else:
            found[f"{name}_total" if kind == "counter" else name] = set(names)
    return found


def _wrong(expression: str) -> list[str]:
    """Unknown metrics, and labels that no metric of an expression has."""
    known = _labels()
    used = set(_METRIC.findall(expression))
    assert used, expression
    lacking = sorted(used - known.keys())
    labels = set(OF_A_TARGET).union(*(known.get(name, set()) for name in used))
    asked = {label.strip() for group in _BY.findall(expression) for label in group.split(",")}
    asked |= set(_MATCHED.findall(expression))
    return [*lacking, *sorted(asked - labels)]


def _alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboards() -> list[dict[str, Any]]:
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return [json.loads(path.read_text("utf-8")) for path in files]


def _expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            yield target["expr"]


def test_the_metrics_that_were_agreed_on_exist_with_their_labels() -> None:
    known = _labels()
    for name, labels in CONTRACT.items():
        series = f"smallprint_{name}"
        found = known.get(series) or known.get(f"{series}_count")
        assert found == set(labels), name


def test_the_search_for_mistakes_finds_them() -> None:
    assert _wrong("max(smallprint_bus_lags)") == ["smallprint_bus_lags"]
    assert _wrong("max by (services) (smallprint_bus_lag)") == ["services"]
    assert _wrong('rate(smallprint_tokens_total{adaptor="a"}[5m])') == ["adaptor"]
    assert _wrong("max by (service) (smallprint_bus_lag)") == []


@pytest.mark.parametrize("alert", _alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_stands_on_metrics_that_exist_and_has_a_runbook(alert: dict[str, Any]) -> None:
    assert _wrong(alert["expr"]) == []
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    runbook = ROOT / alert["annotations"]["runbook_url"]
    assert runbook.parent == RUNBOOKS
    text = runbook.read_text("utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads == ["What it means", "Look first", "What to do", "When it is over"]
    for part in text.split("\n## ")[1:]:
        assert len(part.split("\n", 1)[1].strip()) > 40


@pytest.mark.parametrize(
    ("alert", "series", "wanted"),
    [
        (
            "ProcessGone",
            'up{job="smallprint", process="%s"}',
            {name for one in SERVICES for name in (one, f"{one}-relay", f"{one}-worker")},
        ),
        ("LagUnknown", 'smallprint_bus_lag{service="%s"}', set(SERVICES)),
    ],
)
def test_what_is_missing_is_missed_of_every_service(
    alert: str, series: str, wanted: set[str]
) -> None:
    (rule,) = [one for one in _alerts() if one["alert"] == alert]
    parts = rule["expr"].split(" or ")
    assert len(parts) == len(wanted)
    assert set(parts) == {f"absent({series % name})" for name in wanted}


def test_only_events_count_as_events_that_are_worked_on() -> None:
    sender = inspect.getsource(Sender)
    assert sender.count("metrics.stage_seconds.labels(") == 1
    assert f'self.name = "{WEBHOOKS}"' in sender
    counted = [one for one in _alerts() if "smallprint_stage_seconds_count" in one["expr"]]
    assert {one["alert"] for one in counted} == {"EventsNotWorkedOn", "EventsLeftWaiting"}
    for one in counted:
        assert f'smallprint_stage_seconds_count{{stage!="{WEBHOOKS}"}}' in one["expr"]
    others = [
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "shared")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "stage_seconds.labels(" in path.read_text("utf-8")
    ]
    assert others == ["services/ingest/webhooks/sender.py", "shared/runtime/worker.py"]


def test_every_runbook_belongs_to_an_alert_and_names_metrics_that_exist() -> None:
    named = {alert["annotations"]["runbook_url"] for alert in _alerts()} | SENT_BY_COMMANDS
    there = sorted(RUNBOOKS.glob("*.md"))
    assert {path.relative_to(ROOT).as_posix() for path in there} == named
    known = _labels()
    for path in there:
        text = path.read_text("utf-8")
        assert not set(re.findall(r"\bsmallprint_[a-z_]+\b", text)) - known.keys(), path
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (path.parent / link).is_file(), link


def _unknown(line: str) -> list[str]:
    """Parts of a `smallprint` command in a runbook that the command line lacks."""
    words = shlex.split(line.partition("|")[0])[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.commands.get(words[0])
        if found is None:
            return [words[0]]
        command, words = found, words[1:]
    options = {one for parameter in command.params for one in parameter.opts}
    return [one for one in words if one.startswith("-") and one not in options]


def _misdirected(line: str) -> list[str]:
    """Wrong targets of a `docker` command in a runbook, and numbers of containers that it can't
    know.
    """
    tool, verb, *rest = line.replace("$(", " ").replace(")", " ").split()[1:]
    if tool == "inspect":
        return _misdirected(" ".join([verb, *rest])) if rest else ["a container of compose"]
    if (tool, verb) == ("compose", "run"):
        words = [one for one in rest if one not in ("--rm", "--no-deps")]
        if words[0] != "upkeep":
            return [words[0]]
        return _unknown(shlex.join(["smallprint", *words[1:]]))
    if tool != "compose" or verb not in ("exec", "logs", "ps", "restart", "up"):
        return [f"{tool} {verb}"]
    named = [one.partition("=") for one in rest if not one.startswith("-") and not one.isdigit()]
    known = {"NAME", "SERVICE-worker", "SERVICE-relay", *COMPOSE["services"]}
    wrong = [name for name, *_ in named[: 1 if verb == "exec" else None] if name not in known]
    return wrong + [number for *_, number in named if number not in ("", "N")]


def test_the_search_for_commands_that_do_nothing_finds_them() -> None:
    assert _unknown("smallprint dql ls") == ["dql"]
    assert _unknown("smallprint dead-letters lst") == ["lst"]
    assert _unknown("smallprint verify --fix") == ["--fix"]
    assert _unknown("smallprint status --json | jq '.slowest[].id'") == []
    assert _misdirected("docker compose up -d --scale SERVICE-worker=2") == ["2"]
    assert _misdirected("docker compose start NAME") == ["compose start"]
    assert _misdirected("docker compose restart extraction-wroker") == ["extraction-wroker"]
    assert _misdirected("docker inspect NAME") == ["a container of compose"]
    assert _misdirected("docker compose exec ingest smallprint dead-letters list") == []
    assert _misdirected("docker compose run --rm upkeep statsu") == ["statsu"]
    assert _misdirected("docker compose run --rm ingest status") == ["ingest"]


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_do_what_they_are_there_for(runbook: Path) -> None:
    commands = re.findall(r"`([^`]+)`", runbook.read_text("utf-8"))
    wrong = {}
    for one in commands:
        if one.startswith("docker "):
            wrong[one] = _misdirected(one)
        if "smallprint " in one and "sp_" not in one:
            wrong[one] = wrong.get(one, []) + _unknown(one[one.index("smallprint ") :])
    assert {one: found for one, found in wrong.items() if found} == {}
    assert "smallprint dead-letters replay" not in commands, "it needs ids, or --all"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_how_the_state_is_asked_for_in_containers(runbook: Path) -> None:
    """Operators of containers have no `smallprint` at hand, and a container of one service does not
    know the others.
    """
    commands = re.findall(r"`([^`]+)`", runbook.read_text("utf-8"))
    if any(one.startswith("smallprint status") for one in commands):
        assert "docker compose run --rm --no-deps upkeep status" in commands


@pytest.mark.parametrize("dashboard", _dashboards(), ids=lambda one: str(one["uid"]))
def test_a_dashboard_shows_what_exists(dashboard: dict[str, Any]) -> None:
    sources = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/datasources.yml").read_text("utf-8")
    )["datasources"]
    known = {source["uid"] for source in sources if source["type"] == "prometheus"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 8
    for panel in panels:
        assert panel["datasource"]["uid"] in known
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= known
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24
        for runbook in re.findall(r"docs/how-to/runbooks/[a-z-]+\.md", panel["description"]):
            assert (ROOT / runbook).is_file()
    squares = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(squares) == len(set(squares))
    for expression in _expressions(dashboard):
        assert _wrong(expression) == [], expression


def test_every_metric_that_was_agreed_on_is_on_a_dashboard() -> None:
    assert len(_dashboards()) == 2
    shown = {
        name
        for dashboard in _dashboards()
        for expression in _expressions(dashboard)
        for name in _METRIC.findall(expression)
    }
    for name in CONTRACT:
        series = f"smallprint_{name}"
        assert shown & {series, f"{series}_bucket"}, name


def test_what_is_provisioned_fits_the_containers() -> None:
    services = COMPOSE["services"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./infra/grafana/provisioning"] == "/etc/grafana/provisioning"
    provider = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/dashboards.yml").read_text("utf-8")
    )["providers"][0]
    assert provider["options"]["path"] == mounts["./infra/grafana/dashboards"]
    sources = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/datasources.yml").read_text("utf-8")
    )["datasources"]
    collector = yaml.safe_load((ROOT / "infra/otel/collector.yml").read_text("utf-8"))
    urls = [source["url"] for source in sources] + [collector["exporters"]["otlphttp"]["endpoint"]]
    assert len(urls) == 3
    assert {urlsplit(url).hostname for url in urls} <= set(services)


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    require(found, "promtool (Debian: apt install prometheus)")
    return found or ""


def test_promtool_takes_the_rules(promtool: str) -> None:
    subprocess.run([promtool, "check", "rules", PROMETHEUS / "alerts.yml"], check=True)


def test_alerts_go_off_when_they_should_and_only_then(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", PROMETHEUS / "alerts_test.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text("utf-8"))["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {alert["alert"] for alert in _alerts()}


def test_the_page_of_kubernetes_has_an_alert_for_an_old_backup(
    promtool: str, tmp_path: Path
) -> None:
    page = (ROOT / "infra/kubernetes/README.md").read_text("utf-8")
    (expression,) = re.findall(r"\n    (time\(\) - \(kube_[^>]*> \d+)\n", page)
    of = '{cronjob="backup", namespace="smallprint", instance="%s"}'
    series = [
        {"series": f"kube_cronjob_created{of % one}", "values": "0x6000"} for one in ("good", "new")
    ]
    last = f"kube_cronjob_status_last_successful_time{of % 'good'}"
    series.append({"series": last, "values": "0x3000 172800x3000"})  # a good one after two days
    cases = [(35, ()), (37, ("good", "new")), (51, ("new",)), (85, ("good", "new"))]
    alert = {"alertname": "OldBackup"}
    tested = [
        {
            "eval_time": f"{hours}h",
            **alert,
            "exp_alerts": [
                {"exp_labels": {"cronjob": "backup", "namespace": "smallprint", "instance": one}}
                for one in fired
            ],
        }
        for hours, fired in cases
    ]
    rule = {"alert": "OldBackup", "expr": expression}
    rules = {"groups": [{"name": "backups", "rules": [rule]}]}
    tests = [{"interval": "1m", "input_series": series, "alert_rule_test": tested}]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}), "utf-8")
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_expressions_of_dashboards(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(
            one for dashboard in _dashboards() for one in _expressions(dashboard)
        )
    ]
    assert len(rules) >= 20
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    subprocess.run([promtool, "check", "rules", file], check=True)
