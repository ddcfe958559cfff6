"""The Chat Completions API of OpenAI, and of most self-hosted servers (vLLM, llama.cpp, Ollama, …).

Source: OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.escalation.providers.base import Prompt, Reply, usage, words


class OpenAI:
    """See `Dialect`. Cached tokens count in full."""

    origin = "https://api.openai.com"

    def path(self, model: str) -> str:  # noqa: ARG002 (others have it in the path)
        return "/v1/chat/completions"

    def headers(self, key: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:
        roles = ("user", "assistant")
        turns = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(prompt.turns)]
        body = {
            "model": model,
            "messages": [{"role": "system", "content": prompt.system}, *turns],
            "max_completion_tokens": most,
        }
        if structured == "schema":
            schema = {"name": "answer", "strict": True, "schema": prompt.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif structured == "json":
            body["response_format"] = {"type": "json_object"}
        return body

    def read(self, answer: Any) -> Reply:
        choice = answer["choices"][0]
        message, end, bill = choice["message"], choice.get("finish_reason"), answer.get("usage")
        return Reply(
            text=words(message.get("content")),
            usage=usage((bill.get("prompt_tokens"), bill.get("completion_tokens")))
            if bill
            else None,
            model=words(answer.get("model")),
            refused=bool(message.get("refusal")) or end == "content_filter",
            cut=end == "length",
        )


class OwnOpenAI(OpenAI):
    """Self-hosted servers. Older ones only know the limit as `max_tokens`."""

    origin = ""

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:
        body = dict(super().body(prompt, model, most, structured))
        body["max_tokens"] = body.pop("max_completion_tokens")
        return body
