"""`generateContent` of Google's Gemini API.

Source: the reference of the Gemini API, "models.generateContent" and "Structured output".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.escalation.providers.base import Prompt, Reply, usage, words

_ENDED = ("STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED", None)


class Gemini:
    """See `Dialect`. The key is sent in a header, because URLs are logged."""

    origin = "https://generativelanguage.googleapis.com"

    def path(self, model: str) -> str:
        return f"/v1beta/models/{model}:generateContent"

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def body(self, prompt: Prompt, model: str, most: int, structured: str) -> Mapping[str, Any]:  # noqa: ARG002 (the path has it)
        roles = ("user", "model")
        config: dict[str, Any] = {"maxOutputTokens": most}
        if structured != "none":
            config["responseMimeType"] = "application/json"
        if structured == "schema":
            config["responseJsonSchema"] = prompt.schema
        return {
            "systemInstruction": {"parts": [{"text": prompt.system}]},
            "contents": [
                {"role": roles[i % 2], "parts": [{"text": turn}]}
                for i, turn in enumerate(prompt.turns)
            ],
            "generationConfig": config,
        }

    def read(self, answer: Any) -> Reply:
        meta = answer.get("usageMetadata") or {}
        blocked = bool((answer.get("promptFeedback") or {}).get("blockReason"))
        written = meta.get("candidatesTokenCount")
        bill = usage(
            (meta.get("promptTokenCount"), 0 if blocked and written is None else written),
            more_out=[meta.get("thoughtsTokenCount")],
        )
        model = words(answer.get("modelVersion"))
        if blocked:
            return Reply("", bill, model, refused=True)
        candidate = answer["candidates"][0]
        end = candidate.get("finishReason")
        parts = (candidate.get("content") or {}).get("parts") or ()
        return Reply(
            text="".join(words(part.get("text")) for part in parts if not part.get("thought")),
            usage=bill,
            model=model,
            refused=end not in _ENDED,
            cut=end == "MAX_TOKENS",
        )
