"""The Messages API of Anthropic.

Source: Anthropic's API reference, "Create a Message", "Structured outputs" and "Prompt caching".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from services.escalation.providers.base import Prompt, Reply, count, usage, words

VERSION = "2023-06-01"
WRITING, READING = 1.25, 0.1
"""Relative price of a token written to the cache, or read from it."""


class Anthropic:
    """See `Dialect`. The shared beginning of questions is marked for the cache if it is long
    enough (1,024 tokens or more).
    """

    origin = "https://api.anthropic.com"

    def path(self, model: str) -> str:  # noqa: ARG002 (others have it in the path)
        return "/v1/messages"

    def headers(self, key: str) -> Mapping[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:
        roles = ("user", "assistant")
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": most,
            "system": prompt.system,
            "messages": [
                {"role": roles[i % 2], "content": turn} for i, turn in enumerate(prompt.turns)
            ],
        }
        if prompt.shared:
            first = prompt.turns[0]
            body["messages"][0]["content"] = [
                {
                    "type": "text",
                    "text": first[: prompt.shared],
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": first[prompt.shared :]},
            ]
        if structured == "schema":
            body["output_config"] = {"format": {"type": "json_schema", "schema": prompt.schema}}
        return body

    def read(self, answer: Any) -> Reply:
        bill, end = answer.get("usage"), answer.get("stop_reason")
        written, read = (
            count(bill.get(f"cache_{what}_input_tokens")) if bill else 0
            for what in ("creation", "read")
        )
        return Reply(
            text="".join(
                words(part["text"]) for part in answer["content"] if part["type"] == "text"
            ),
            usage=usage(
                (bill.get("input_tokens"), bill.get("output_tokens")),
                (math.ceil(written * WRITING), math.ceil(read * READING)),
            )
            if bill
            else None,
            model=words(answer.get("model")),
            refused=end == "refusal",
            cut=end == "max_tokens",
        )
