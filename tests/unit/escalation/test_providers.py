"""Protocols of providers, and which failures may be billed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from infra.servers.ports import free_port
from services.escalation.providers import (
    InvalidResponse,
    Lost,
    NotReached,
    Prompt,
    Provider,
    ProviderError,
    Refused,
    TooBusy,
)
from services.escalation.providers.circuit_breaker import Breaker
from services.escalation.providers.provider import (
    DIALECTS,
    STAND_IN_HEADER,
    NobodyAnswers,
    in_order,
)
from services.escalation.providers.transport import LARGEST, Post
from shared.errors import SuiteError
from shared.policy.prices import Price, Usage
from tests.support.local_server import Receiver, Reply
from tests.unit.escalation.shapes import ANSWERS, CUT, DECLINED

KEY = "sk-3c1f0a77-never-to-be-seen"
SCHEMA = {
    "type": "object",
    "properties": {"found": {"type": "boolean"}},
    "required": ["found"],
    "additionalProperties": False,
}
PROMPT = Prompt("Answer by the schema.", ("Is it there?", "yes!", "As JSON, please."), SCHEMA)
PRICE = Price(Decimal(3), Decimal(15), "2026-01-31")
POST = Post()
AGAIN = {"retry-after": "9"}
MARKED = {STAND_IN_HEADER: "yes"}
PROTOCOLS = sorted(DIALECTS)


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def provider(origin: str, protocol: Any = "openai", **options: Any) -> Provider:
    options = {"name": "acme", "model": "m-1", "seconds": 5.0, "post": POST, **options}
    return Provider(protocol=protocol, origin=origin, price=PRICE, key=lambda: KEY, **options)


def answering(answer: object, status: int = 200, **headers: str) -> Any:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return lambda _request: Reply(status, headers, data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reply_is_read_with_its_tokens(server: Receiver, protocol: str) -> None:
    server.answer = answering(ANSWERS[protocol])
    reply = provider(server.url(""), protocol).ask(PROMPT)
    # Anthropic: 90, 60 written at 1.25, and 40 read at a tenth.
    tokens = 169 if protocol == "anthropic" else 190
    assert (reply.text, reply.usage) == ('{"found": true}', Usage(tokens, 10))
    assert (reply.refused, reply.cut) == (False, False)
    assert reply.model == ANSWERS[protocol].get("model", "gemini-2.5-flash")


def test_the_shared_beginning_is_marked_for_the_cache(server: Receiver) -> None:
    server.answer = answering(ANSWERS["anthropic"])
    one = provider(server.url(""), "anthropic")
    shared = replace(PROMPT, shared=3)
    one.ask(shared)
    (request,) = server.requests
    first, second = json.loads(request.body)["messages"][0]["content"]
    assert first == {
        "type": "text",
        "text": PROMPT.turns[0][:3],
        "cache_control": {"type": "ephemeral"},
    }
    assert second == {"type": "text", "text": PROMPT.turns[0][3:]}
    assert one.worst_case(shared).input > 1.25 * one.worst_case(PROMPT).input


def test_requests_follow_each_protocol(server: Receiver) -> None:
    server.answer = answering({})
    for protocol in PROTOCOLS:
        with pytest.raises(InvalidResponse):
            provider(server.url(""), protocol, most=300).ask(PROMPT)
    sent = dict(zip(PROTOCOLS, server.requests, strict=True))
    bodies = {name: json.loads(request.body) for name, request in sent.items()}

    assert sent["openai"].path == sent["own"].path == "/v1/chat/completions"
    assert sent["openai"].headers["authorization"] == f"Bearer {KEY}"
    roles = [turn["role"] for turn in bodies["openai"]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert bodies["openai"]["max_completion_tokens"] == bodies["own"]["max_tokens"] == 300
    assert bodies["openai"]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert bodies["openai"]["response_format"]["json_schema"]["strict"] is True

    assert sent["anthropic"].path == "/v1/messages"
    assert sent["anthropic"].headers["x-api-key"] == KEY
    assert sent["anthropic"].headers["anthropic-version"] == "2023-06-01"
    assert bodies["anthropic"]["system"] == PROMPT.system
    assert bodies["anthropic"]["max_tokens"] == 300
    format_ = bodies["anthropic"]["output_config"]["format"]
    assert format_ == {"type": "json_schema", "schema": SCHEMA}

    assert sent["gemini"].path == "/v1beta/models/m-1:generateContent"
    assert sent["gemini"].headers["x-goog-api-key"] == KEY
    assert [turn["role"] for turn in bodies["gemini"]["contents"]] == ["user", "model", "user"]
    config = bodies["gemini"]["generationConfig"]
    assert config == {
        "maxOutputTokens": 300,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


def test_an_own_server_may_lack_schemas_and_keys(server: Receiver) -> None:
    server.answer = answering(ANSWERS["own"])
    for structured in ("json", "none"):
        own = provider(server.url(""), "own", structured=structured)
        assert own.ask(PROMPT).text
    as_json, plain = (json.loads(request.body) for request in server.requests)
    assert as_json["response_format"] == {"type": "json_object"}
    assert "response_format" not in plain
    assert DIALECTS["own"].headers("") == {}


def test_unstorable_characters_are_replaced(server: Receiver) -> None:
    message = {"content": 'a\ud800b\0c"\U0001f600'}
    server.answer = answering({"choices": [{"message": message}], "usage": None})
    assert provider(server.url("")).ask(PROMPT).text == 'a?b\ufffdc"\U0001f600'


@pytest.mark.parametrize("untold", ["null", "missing"])
@pytest.mark.parametrize(
    ("protocol", "part", "name"),
    [
        *(("openai", "usage", "prompt_tokens"), ("openai", "usage", "completion_tokens")),
        *(("own", "usage", "prompt_tokens"), ("own", "usage", "completion_tokens")),
        *(("anthropic", "usage", "input_tokens"), ("anthropic", "usage", "output_tokens")),
        ("gemini", "usageMetadata", "promptTokenCount"),
        ("gemini", "usageMetadata", "candidatesTokenCount"),
    ],
)
def test_an_incomplete_bill_is_unknown(
    server: Receiver, protocol: str, part: str, name: str, untold: str
) -> None:
    answer = deepcopy(ANSWERS[protocol])
    if untold == "null":
        answer[part][name] = None
    else:
        del answer[part][name]
    server.answer = answering(answer)
    reply = provider(server.url(""), protocol).ask(PROMPT)
    assert (reply.text, reply.usage) == ('{"found": true}', None)


def test_optional_counts_may_be_missing(server: Receiver) -> None:
    anthropic, gemini = deepcopy(ANSWERS["anthropic"]), deepcopy(ANSWERS["gemini"])
    anthropic["usage"] = {"input_tokens": 9, "output_tokens": 1}
    gemini["usageMetadata"] = {"promptTokenCount": 9, "candidatesTokenCount": 1}
    for protocol, answer in (("anthropic", anthropic), ("gemini", gemini)):
        server.answer = answering(answer)
        assert provider(server.url(""), protocol).ask(PROMPT).usage == Usage(9, 1)
    server.answer = answering(DECLINED["gemini"])
    assert provider(server.url(""), "gemini").ask(PROMPT).usage == Usage(1, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_declined_and_cut_answers_differ(server: Receiver, protocol: str) -> None:
    asked = provider(server.url(""), protocol)
    server.answer = answering(DECLINED[protocol])
    declined = asked.ask(PROMPT)
    server.answer = answering(CUT[protocol])
    cut = asked.ask(PROMPT)
    assert (declined.refused, declined.cut) == (True, False)
    assert (cut.refused, cut.cut, cut.text) == (False, True, '{"fo')
    assert cut.usage is None  # unknown, not zero


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "answer",
    [
        *([], 3, None, "text", {}, {"choices": []}, {"candidates": [[]]}, {"content": 3}),
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": -1}},
        {"content": [], "usage": {"input_tokens": "9", "output_tokens": 1}},
        {"candidates": [{}], "usageMetadata": {"promptTokenCount": 1.5}},
        *(b"", b"{", b"[" * 200_000, b"\xff\xfe"),
    ],
)
def test_an_invalid_response_may_be_billed(server: Receiver, protocol: str, answer: object) -> None:
    server.answer = answering(answer)
    with pytest.raises(InvalidResponse) as error:
        provider(server.url(""), protocol).ask(PROMPT)
    assert error.value.may_be_billed


@pytest.mark.parametrize(
    ("status", "kind", "billed"),
    [
        *((429, TooBusy, False), (503, TooBusy, False), (529, TooBusy, False)),
        *((400, Refused, False), (401, Refused, False), (404, Refused, False)),
        *((302, Refused, False), (500, Lost, True), (502, Lost, True), (504, Lost, True)),
    ],
)
def test_a_status_says_whether_it_may_be_billed(
    server: Receiver, status: int, kind: type[ProviderError], billed: bool
) -> None:
    headers: dict[str, str] = {"retry-after": "7", "location": "https://elsewhere.example"}
    server.answer = answering({"error": {"message": f"{KEY} is wrong"}}, status, **headers)
    with pytest.raises(ProviderError) as error:
        provider(server.url("")).ask(PROMPT)
    assert type(error.value) is kind
    assert error.value.may_be_billed is billed
    assert KEY not in error.value.message
    assert len(server.requests) == 1  # no redirect is followed
    if issubclass(kind, TooBusy):
        assert error.value.wait == 7


def test_an_unreachable_provider_is_not_billed() -> None:
    with pytest.raises(NotReached) as error:
        provider(f"http://127.0.0.1:{free_port()}").ask(PROMPT)
    assert not error.value.may_be_billed


def _served(talk: Any) -> tuple[str, threading.Thread]:
    """A server that takes one connection and does with it what it wants."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65_536)
            talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


def test_a_lost_connection_may_be_billed() -> None:
    origin, thread = _served(lambda connection: connection.close())
    with pytest.raises(Lost) as error:
        provider(origin).ask(PROMPT)
    thread.join()
    assert error.value.may_be_billed


def test_a_slow_server_times_out_in_total() -> None:
    gone = threading.Event()

    def dawdle(connection: socket.socket) -> None:
        for letter in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b" " * 900:
            if gone.is_set():
                return
            try:
                connection.send(bytes([letter]))
            except OSError:
                return
            time.sleep(0.05)

    origin, thread = _served(dawdle)
    with pytest.raises(Lost, match="did not answer in 1 seconds"):
        provider(origin, seconds=0.6).ask(PROMPT)
    gone.set()
    thread.join()


def test_an_endless_response_is_rejected(server: Receiver) -> None:
    server.answer = answering(b" " * (LARGEST + 10))
    with pytest.raises(InvalidResponse, match="more than"):
        provider(server.url("")).ask(PROMPT)


def test_a_stand_in_answers_only_under_its_name(server: Receiver) -> None:
    server.answer = answering(ANSWERS["openai"], 200, **MARKED)
    with pytest.raises(Refused, match="stand-in"):
        provider(server.url("")).ask(PROMPT)
    assert provider(server.url(""), name="stand-in-1").ask(PROMPT).text


def test_the_worst_case_is_an_upper_bound(server: Receiver) -> None:
    long = Prompt("s", ("契約の解除 " * 50,), SCHEMA)
    asked = provider(server.url(""), most=123)
    usage = asked.worst_case(long)
    assert usage.input >= len(("契約の解除 " * 50).encode())
    assert usage.output == 123
    assert PRICE.of(Usage(1_000_000, 1_000_000)) == 18_000_000
    assert Price(Decimal("0.15"), Decimal("0.6"), "").of(Usage(1, 1)) == 1  # rounded up


def test_rests_double_and_end_with_a_success() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, rest=10, most=25, clock=lambda: now[0])
    breaker.failed()
    assert breaker.wait() == 0
    rests = []
    for _ in range(3):
        breaker.failed()
        rests.append(breaker.wait())
        now[0] += rests[-1]
        assert breaker.wait() == 0
    assert rests == [10, 20, 25]
    breaker.succeeded()
    breaker.failed()
    assert breaker.wait() == 0
    breaker.failed(wait=15)
    assert breaker.wait() == 15
    breaker.failed(wait=1e9)
    assert breaker.wait() == 25


def test_a_success_does_not_shorten_a_requested_rest() -> None:
    now = [0.0]
    breaker = Breaker(failures=2, rest=10, clock=lambda: now[0])
    breaker.failed(wait=60)
    breaker.succeeded()
    assert breaker.wait() == 60
    now[0] = 60
    assert breaker.wait() == 0
    breaker.failed()
    assert breaker.wait() == 0  # the count began again


def test_providers_are_asked_in_order_without_resting_ones(server: Receiver) -> None:
    away = provider(f"http://127.0.0.1:{free_port()}", name="away", breaker=Breaker(failures=2))
    good = provider(server.url(""), name="good")
    server.answer = answering(ANSWERS["openai"])
    asked: list[str] = []

    def ask(one: Provider) -> str:
        asked.append(one.name)
        return one.ask(PROMPT).text

    for _ in range(3):
        assert in_order([away, good], ask) == '{"found": true}'
    assert asked == ["away", "good", "away", "good", "good"]
    server.answer = answering({}, 429, **AGAIN)
    with pytest.raises(NobodyAnswers, match=r"away pauses for .*; good is busy") as error:
        in_order([away, good], ask)
    assert error.value.wait == pytest.approx(9, abs=1)
    with pytest.raises(NobodyAnswers, match="no provider"):
        in_order([], ask)


def test_a_key_is_in_no_representation(server: Receiver) -> None:
    one = provider(server.url(""))
    assert KEY not in repr(one)
    server.answer = answering({}, 401)
    with pytest.raises(SuiteError) as error:
        one.ask(PROMPT)
    assert KEY not in repr(error.value) + str(error.value.__context__)
