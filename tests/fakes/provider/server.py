"""The server: gives answers, simulates faults, and records its bills."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tests.fakes.provider.labelled_answers import Labels
from tests.fakes.provider.protocols import ModelRequest, answer, read
from tests.support.local_server import LocalServer, Reply, Request

Fault = Literal[
    "none", "invent", "alter", "foreign", "decline", "break_json", "cut", "busy", "overloaded",
    "fail", "hang", "drop", "overbill", "no_bill", "repeat",
]  # fmt: skip
"""`none` answers by the labels; `drop` bills and breaks off; `repeat` repeats the last answer to
any client; `no_bill` answers without its bill.
"""
FAULTS: tuple[Fault, ...] = get_args(Fault)
HEADER = "x-smallprint-stand-in"
STATUS: Mapping[Fault, int] = {"busy": 429, "overloaded": 529, "fail": 500}
ENTRY = """\
# STAND-IN FRONTIER: no model answers here, only labels with mistakes. For tests and demonstrations.
[providers.stand-in]
protocol = "own"
model = "stand-in"
url = "{url}"
price = {{ input = "3", output = "15", as_of = 2026-01-31 }}
"""
"""The stand-in's entry in a policy."""
OVERBILLED = 50
CHARACTERS_PER_TOKEN = 4

Choose = Callable[[ModelRequest], Fault]
Speak = Callable[[ModelRequest, Fault], str]


@dataclass(frozen=True)
class Bill:
    """The bill of one call."""

    model: str
    input: int
    output: int
    excess: int = 0  # tokens of `output` above the limit
    turns: tuple[str, ...] = field(default=(), compare=False, repr=False)  # of the request


class StandIn(LocalServer):
    """A server on this machine for one block: `with StandIn(labels) as it: it.url`.

    Args:
        labels: the right answers.
        errors: share of answers with an honest mistake.
        faults: share of calls with each fault; the others have none.
        seed: of all random choices.
        hang_seconds: duration of a hanging call.
        think_seconds: longest duration of other calls.
        overbilled: multiple of the allowed tokens in an overbilled answer.
        choose: chooses the fault of each call instead of chance.
        speak: gives the answer instead of the labels.
    """

    def __init__(
        self,
        labels: Labels | None = None,
        *,
        errors: float = 0.0,
        faults: Mapping[Fault, float] | None = None,
        seed: int = 1,
        port: int = 0,
        hang_seconds: float = 600.0,
        think_seconds: float = 0.0,
        overbilled: int = OVERBILLED,
        choose: Choose | None = None,
        speak: Speak | None = None,
    ) -> None:
        super().__init__(port=port)
        self.labels = labels or Labels([])
        self.errors = errors
        self.faults = dict(faults or {})
        self.hang_seconds = hang_seconds
        self.think_seconds = think_seconds
        self.overbilled = overbilled
        self.choose = choose or self._by_chance
        self.speak = speak or self._by_labels
        self.bills: list[Bill] = []
        self.requests: list[ModelRequest] = []
        self.closing = threading.Event()
        self._last = "{}"
        self._chance = random.Random(seed)
        self._guard = threading.Lock()

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        super().__exit__()

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def reply(self, request: Request) -> Reply | None:
        """Answer a call, or `/bill` with the bills so far."""
        if request.path == "/bill":
            return _json(200, self.billed())
        try:
            model_request = read(request.path, json.loads(request.body))
        except (LookupError, TypeError, ValueError):
            return _json(400, {"error": {"message": "stand-in: not of a known protocol"}})
        fault, text = self.turn(model_request)
        if fault in STATUS:
            return _json(STATUS[fault], {"error": {"message": f"stand-in: {fault}"}})
        bill = self.bill(model_request, text, fault)
        if fault == "drop":
            return None
        self.wait(fault)
        return _json(200, _answer(model_request, fault, text, bill))

    def billed(self) -> dict[str, int]:
        """Calls and tokens of all bills so far."""
        with self._guard:
            return {
                "calls": len(self.bills),
                "input": sum(bill.input for bill in self.bills),
                "output": sum(bill.output for bill in self.bills),
            }

    def turn(self, request: ModelRequest) -> tuple[Fault, str]:
        """Choose the fault and the text of an answer."""
        with self._guard:
            self.requests.append(request)
            fault = self.choose(request)
            text = self._last if fault == "repeat" else self.speak(request, fault)
            self._last = text
            return fault, text

    def wait(self, fault: Fault) -> None:
        """Wait as long as the answer should take."""
        with self._guard:
            thinks = self._chance.random() * self.think_seconds
        self.closing.wait(self.hang_seconds if fault == "hang" else thinks)

    def bill(self, request: ModelRequest, text: str, fault: Fault) -> Bill:
        """Record the bill of a call: about the tokens of a model, or far more."""
        tokens_in = -(-sum(map(len, request.turns)) // CHARACTERS_PER_TOKEN)
        tokens_out = min(request.most, -(-len(text) // CHARACTERS_PER_TOKEN))
        if fault == "overbill":
            tokens_out = request.most * self.overbilled
        excess = max(0, tokens_out - request.most)
        made = Bill(request.model, tokens_in, tokens_out, excess, request.turns)
        with self._guard:
            self.bills.append(made)
        return made

    def _by_chance(self, _request: ModelRequest) -> Fault:
        draw = self._chance.random()
        for fault, share in self.faults.items():
            draw -= share
            if draw < 0:
                return fault
        return "none"

    def _by_labels(self, request: ModelRequest, fault: Fault) -> str:
        question = json.loads(request.turns[0])
        if "categories" in question:
            names = [one["category"] for one in question["categories"]]
            asked = [{"category": name, "passage": question["passage"]} for name in names]
            found: Mapping[str, Any] = {
                "clauses": [
                    {"category": one["category"], "quote": quote}
                    for one in asked
                    for quote in self._found(one, fault)["quotes"]
                ]
            }
        elif "questions" in question:
            found = {
                "answers": [
                    {
                        "number": one["number"],
                        **self._found(
                            {**one, "passage": question["passages"][one["passage"] - 1]}, fault
                        ),
                    }
                    for one in question["questions"]
                ]
            }
        else:
            found = self._found(question, fault)
        text = json.dumps(found, ensure_ascii=False)
        return text[: len(text) // 2] if fault in ("break_json", "cut") else text

    def _found(self, question: Mapping[str, Any], fault: Fault) -> Mapping[str, Any]:
        """The answer about one category."""
        ways = {
            "invent": self.labels.invented,
            "alter": self.labels.altered,
            "foreign": self.labels.foreign,
        }
        if fault in ways:
            return ways[fault](question, self._chance)
        if self._chance.random() < self.errors:
            return self.labels.wrong(question, self._chance)
        return self.labels.right(question)


def _json(status: int, content: object) -> Reply:
    headers = {HEADER: "no model, for tests and demonstrations alone"}
    headers |= {"content-type": "application/json", "connection": "close"}
    headers |= {"retry-after": "1"} if status in (429, 529) else {}
    return Reply(status, headers, json.dumps(content).encode())


def _answer(request: ModelRequest, fault: Fault, text: str, bill: Bill) -> dict[str, Any]:
    tokens = None if fault == "no_bill" else (bill.input, bill.output)
    end: Any = {"decline": "declined", "cut": "cut"}.get(fault, "stop")
    return answer(request.protocol, text, end, tokens)
