"""Requests and answers of the three protocols, from the side of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MODEL = "stand-in"
End = Literal["stop", "cut", "declined"]


@dataclass(frozen=True)
class ModelRequest:
    """The content of a request."""

    protocol: str
    model: str
    turns: tuple[str, ...]  # the turns of user and model, without the system prompt
    most: int  # tokens that the answer may have


def read(path: str, body: Mapping[str, Any]) -> ModelRequest:
    """Parse a request. Raises LookupError or TypeError if it fits none of the protocols."""
    if path == "/v1/chat/completions":
        turns = [t["content"] for t in body["messages"] if t["role"] != "system"]
        most = body.get("max_completion_tokens") or body["max_tokens"]
        return ModelRequest("openai", body["model"], tuple(turns), most)
    if path == "/v1/messages":
        turns = [_joined(t["content"]) for t in body["messages"]]
        return ModelRequest("anthropic", body["model"], tuple(turns), body["max_tokens"])
    if path.startswith("/v1beta/models/") and path.endswith(":generateContent"):
        turns = [part["text"] for turn in body["contents"] for part in turn["parts"]]
        model = path.removeprefix("/v1beta/models/").removesuffix(":generateContent")
        return ModelRequest(
            "gemini", model, tuple(turns), body["generationConfig"]["maxOutputTokens"]
        )
    raise KeyError(path)


def _joined(content: str | list[Mapping[str, Any]]) -> str:
    """The text of a turn, which may have several blocks."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def answer(protocol: str, text: str, end: End, tokens: tuple[int, int] | None) -> dict[str, Any]:
    """Build an answer of a protocol; `tokens` in and out, or None to leave them out."""
    if protocol == "openai":
        ends = {"stop": "stop", "cut": "length", "declined": "content_filter"}
        usage = tokens and {
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "total_tokens": sum(tokens),
        }
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "object": "chat.completion",
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": ends[end]}],
            **({"usage": usage} if usage else {}),
        }
    if protocol == "anthropic":
        ends = {"stop": "end_turn", "cut": "max_tokens", "declined": "refusal"}
        usage = tokens and {"input_tokens": tokens[0], "output_tokens": tokens[1]}
        return {
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": text}],
            "stop_reason": ends[end],
            **({"usage": usage} if usage else {}),
        }
    ends = {"stop": "STOP", "cut": "MAX_TOKENS", "declined": "SAFETY"}
    usage = tokens and {"promptTokenCount": tokens[0], "candidatesTokenCount": tokens[1]}
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "modelVersion": MODEL,
        "candidates": [{"content": content, "finishReason": ends[end], "index": 0}],
        **({"usageMetadata": usage} if usage else {}),
    }
