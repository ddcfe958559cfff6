"""The stand-in speaks the protocols, has the chosen faults, and can't pass as a provider."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.servers.ports import free_port
from services.escalation.providers import (
    Lost,
    Prompt,
    Provider,
    ProviderError,
    Refused,
    TooBusy,
)
from services.escalation.providers.provider import DIALECTS
from services.escalation.providers.transport import Post
from shared.policy.prices import Price, Usage
from tests.fakes.provider import Labels, StandIn
from tests.fakes.provider.__main__ import main as serve_labels
from tests.fakes.provider.server import OVERBILLED, Fault
from tests.support import ROOT

LAW = "This Agreement is governed by the laws of Delaware."
OTHER = "The laws of Texas govern."
LABELS = Labels([("Governing Law", LAW), ("Governing Law", OTHER), ("Parties", "Acme Inc.")])
QUESTION = {"category": "Governing Law", "passage": f"1. Term. It ends. 2. Law. {LAW} 3. Other."}
PROMPT = Prompt("instructions", (json.dumps(QUESTION),), {})
POST = Post()


def asked(stand_in: StandIn, protocol: Any = "own", **options: Any) -> Provider:
    options = {"name": "stand-in", "model": "stand-in", "seconds": 5.0, "post": POST, **options}
    price = Price(Decimal(3), Decimal(15), "2026-01-31")
    return Provider(protocol=protocol, origin=stand_in.url, price=price, key=str, **options)


def answer_of(stand_in: StandIn, protocol: str = "own") -> dict[str, Any]:
    return dict(json.loads(asked(stand_in, protocol).ask(PROMPT).text))


@pytest.fixture
def good() -> Iterator[StandIn]:
    with StandIn(LABELS) as stand_in:
        yield stand_in


@pytest.mark.parametrize("protocol", sorted(DIALECTS))
def test_every_protocol_is_answered_by_the_labels(good: StandIn, protocol: str) -> None:
    reply = asked(good, protocol).ask(PROMPT)
    answer = json.loads(reply.text)
    assert (answer["verdict"], answer["quotes"]) == ("present", [LAW])
    assert reply.model == "stand-in"
    (bill,) = good.bills
    assert reply.usage == Usage(bill.input, bill.output)
    assert bill.input == -(-len(PROMPT.turns[0]) // 4)


def test_it_is_wrong_as_often_as_configured() -> None:
    with StandIn(LABELS, errors=0.3, seed=5) as stand_in:
        verdicts = [answer_of(stand_in)["verdict"] for _ in range(100)]
    assert 15 <= verdicts.count("absent") <= 45


@pytest.mark.parametrize(
    ("printed", "quoted"),
    [
        ("2. Law. {}", "This Agreement is governed\n by the laws of Delaware."),
        ("2. Law. {} 3.", "This Agree-\nment is governed by\tthe  laws of\n\nDelaware."),
        ("{}", "This Agreement is governed by the\fla\u00adws of Delaware."),
    ],
)
def test_labels_are_known_as_pages_print_them(good: StandIn, printed: str, quoted: str) -> None:
    question = {"category": "Governing Law", "passage": printed.format(quoted)}
    prompt = Prompt("instructions", (json.dumps(question),), {})
    answer = json.loads(asked(good).ask(prompt).text)
    assert (answer["verdict"], answer["quotes"]) == ("present", [quoted])


def test_kinds_and_pages_are_known_as_pages_print_them() -> None:
    labels = Labels(kinds=[("report", "official annual report")], pages=[("unsound", "x y z")])
    kind = labels.right({"passage": "An o\ufb03cial annual\nreport.", "taken_for": "contract"})
    assert (kind["verdict"], kind["quotes"]) == ("report", ["o\ufb03cial annual\nreport"])
    assert labels.right({"passage": "x y\nz"})["verdict"] == "unsound"
    question = {"category": "Governing Law", "passage": LAW.replace(" ", "\n")}
    chance = random.Random(1)
    assert LABELS.foreign(question, chance)["quotes"] == [OTHER]


def test_masked_labels_are_denied_and_its_help_says_so(
    good: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    question = {"category": "Parties", "passage": "Between [PARTY-1] and Buyer."}
    prompt = Prompt("instructions", (json.dumps(question),), {})
    assert json.loads(asked(good).ask(prompt).text)["verdict"] == "absent"
    with pytest.raises(SystemExit):
        serve_labels(["--help"])
    assert "are masked" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["invent", "alter", "foreign"])
def test_wrong_quotes_stand_nowhere_in_the_passage(fault: Fault) -> None:
    with StandIn(LABELS, faults={fault: 1.0}) as stand_in:
        (quote,) = answer_of(stand_in)["quotes"]
    assert quote not in QUESTION["passage"]
    assert quote == OTHER if fault == "foreign" else quote != OTHER


@pytest.mark.parametrize(
    ("fault", "kind", "billed"),
    [
        *(("busy", TooBusy, 0), ("overloaded", TooBusy, 0), ("fail", Lost, 0)),
        *(("drop", Lost, 1), ("hang", Lost, 1)),
    ],
)
def test_it_fails_as_configured(fault: Fault, kind: type[ProviderError], billed: int) -> None:
    with StandIn(LABELS, faults={fault: 1.0}) as stand_in:
        with pytest.raises(kind) as error:
            asked(stand_in, seconds=1.0).ask(PROMPT)
        assert len(stand_in.bills) == billed
        if kind is TooBusy:
            assert error.value.wait == 1


def test_answers_may_be_broken_declined_cut_overbilled_unbilled_or_repeated() -> None:
    wanted: list[Fault] = ["break_json", "decline", "cut", "overbill", "no_bill", "none", "repeat"]
    turns = iter(wanted)
    with StandIn(LABELS, choose=lambda _request: next(turns)) as stand_in:
        one = asked(stand_in, most=200)
        replies = {fault: one.ask(PROMPT) for fault in wanted}
    with pytest.raises(ValueError):
        json.loads(replies["break_json"].text)
    assert replies["decline"].refused
    assert replies["cut"].cut
    assert replies["overbill"].usage
    assert replies["overbill"].usage.output == 200 * OVERBILLED
    over = [bill.excess for bill in stand_in.bills if bill.excess]
    assert over == [200 * (OVERBILLED - 1)]
    assert replies["no_bill"].usage is None
    assert replies["repeat"].text == replies["none"].text


def test_it_is_taken_for_no_provider(good: StandIn) -> None:
    with pytest.raises(Refused, match="stand-in"):
        asked(good, name="acme").ask(PROMPT)
    assert "x-smallprint-stand-in" in httpx.post(f"{good.url}/v1/odd", json={}).headers


def test_it_is_started_as_a_program(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl.gz"
    labels = [{"category": "Governing Law", "text": LAW}]
    path.write_bytes(gzip.compress(json.dumps({"text": "…", "annotations": labels}).encode()))
    port = free_port()
    command = [sys.executable, "-m", "tests.fakes.provider", str(path), "--port", str(port)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, "--errors", "0"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(6)]
        assert lines[0].startswith("# STAND-IN FRONTIER")
        assert f'url = "http://127.0.0.1:{port}"\n' in lines
        body = {"model": "m", "max_tokens": 9, "messages": [_user(QUESTION)]}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body).json()
        assert LAW in answer["choices"][0]["message"]["content"]
        assert httpx.get(f"http://127.0.0.1:{port}/bill").json()["calls"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def _user(question: object) -> dict[str, str]:
    return {"role": "user", "content": json.dumps(question)}


def test_labels_of_compare_are_labels_of_the_stand_in(tmp_path: Path) -> None:
    line = json.dumps(
        {
            "id": "lease-7",
            "text": "1. Law. The laws of Delaware govern.",
            "annotations": [{"category": "Governing Law", "start": 8, "end": 36}],
        }
    )
    path = tmp_path / "contracts.jsonl"
    path.write_text(f"{line}\n\n", "utf-8")
    question = {"category": "Governing Law", "passage": json.loads(line)["text"]}
    answer = Labels.of_file(path).right(question)
    assert answer["quotes"] == ["The laws of Delaware govern."]
    worded = {"annotations": [{"category": "Governing Law", "text": LAW, "start": 0, "end": 1}]}
    path.write_text(json.dumps(worded), "utf-8")
    assert Labels.of_file(path).right(QUESTION)["quotes"] == [LAW]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ('{"annotations": [{"category": "Governing Law"}]}', "text, or start and end"),
        ('{"annotations": [{"category": "Governing Law", "start": 0, "end": 1}]}', "text"),
        ('{"annotations": [{"text": "x"}]}', "category"),
        ('{"category": "Governing Law"}', "text"),
        ('{"wrong": "1"}', "right"),
        ("{}", "category, kind, page, wrong or annotations"),
        ("[1]", "no label"),
        ("{", "no label"),
    ],
)
def test_what_is_no_label_is_one_line_with_its_number(
    line: str, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f'{{"category": "Governing Law", "text": "x"}}\n{line}\n', "utf-8")
    with pytest.raises(SystemExit) as ended:
        serve_labels([str(path)])
    assert ended.value.code == 1
    (message,) = capsys.readouterr().err.splitlines()
    assert f"{path}, line 2" in message
    assert missing in message


@pytest.mark.parametrize(
    "given", [["--errors", "10"], ["--errors", "-1"], ["--errors", "x"], ["--fault", "hang=2"]]
)
def test_a_share_is_from_0_to_1(
    given: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"category": "Governing Law", "text": "x"}\n')
    with pytest.raises(SystemExit) as ended:
        serve_labels([str(labels), "--port", "0", *given])
    assert ended.value.code == 2
    assert "a share is a number from 0 to 1" in capsys.readouterr().err
