"""Answers as the providers' public documentation shows them. No live provider was asked."""

from __future__ import annotations

from typing import Any

ANSWERS: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"found": true}', "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 190,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    },
    "own": {
        "model": "qwen",
        "choices": [
            {
                "message": {"role": "assistant", "content": '{"found": true}'},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 190, "completion_tokens": 10, "total_tokens": 200},
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [
            {"type": "thinking", "thinking": "well", "signature": "s"},
            {"type": "text", "text": '{"found": true}'},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 90,
            "cache_creation_input_tokens": 60,
            "cache_read_input_tokens": 40,
            "output_tokens": 10,
        },
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "well", "thought": True},
                        {"text": '{"found": '},
                        {"text": "true}"},
                    ],
                },
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 190,
            "candidatesTokenCount": 6,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 200,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r",
    },
}
"""Each says the same: 190 tokens in, 10 out, and one JSON object."""

DECLINED: dict[str, dict[str, Any]] = {
    "openai": {
        "choices": [
            {
                "message": {"role": "assistant", "content": None, "refusal": "I can't."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    },
    "own": {
        "choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    },
    "anthropic": {
        "content": [],
        "stop_reason": "refusal",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 1},
    },
}
CUT: dict[str, dict[str, Any]] = {
    "openai": {"choices": [{"message": {"content": '{"fo'}, "finish_reason": "length"}]},
    "own": {"choices": [{"message": {"content": '{"fo'}, "finish_reason": "length"}]},
    "anthropic": {"content": [{"type": "text", "text": '{"fo'}], "stop_reason": "max_tokens"},
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": '{"fo'}]}, "finishReason": "MAX_TOKENS"}]
    },
}
