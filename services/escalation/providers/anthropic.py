"""The Messages API of Anthropic.

Source: Anthropic's API reference, "Create a Message" and "Structured outputs".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.escalation.providers.base import Prompt, Reply, usage, words

VERSION = "2023-06-01"


class Anthropic:
    """See `Dialect`. No prompt is marked to be cached: ours are below the length that can be."""

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
        if structured == "schema":
            body["output_config"] = {"format": {"type": "json_schema", "schema": prompt.schema}}
        return body

    def read(self, answer: Any) -> Reply:
        bill, end = answer.get("usage"), answer.get("stop_reason")
        cached = ("cache_creation_input_tokens", "cache_read_input_tokens")
        return Reply(
            text="".join(
                words(part["text"]) for part in answer["content"] if part["type"] == "text"
            ),
            usage=usage(
                (bill.get("input_tokens"), bill.get("output_tokens")), map(bill.get, cached)
            )
            if bill
            else None,
            model=words(answer.get("model")),
            refused=end == "refusal",
            cut=end == "max_tokens",
        )
