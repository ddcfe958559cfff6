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
                "message": {
                    "role": "assistant",
                    "content": '{"found": true}',
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 190,
            "completion_tokens": 10,
            "total_tokens": 200,
            "prompt_tokens_details": {"cached_tokens": 100, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
        },
        "service_tier": "default",
    },
    "own": {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "model": "qwen",
        "choices": [
            {
                "index": 0,
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

_WORKING: dict[str, dict[str, Any]] = {
    "anthropic": {
        "id": "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {
            "processing": 3,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        },
        "ended_at": None,
        "created_at": "2024-09-24T18:37:24.100435Z",
        "expires_at": "2024-09-25T18:37:24.100435Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    },
    "openai": {
        "id": "batch_abc123",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": None,
        "input_file_id": "file-abc123",
        "completion_window": "24h",
        "status": "in_progress",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": 1711471533,
        "in_progress_at": 1711471538,
        "expires_at": 1711557933,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 3, "completed": 1, "failed": 0},
        "metadata": {"smallprint": "ba_1"},
    },
}
_FILES = {"output_file_id": "file-cvaTdG", "error_file_id": "file-HOWS94"}
_OUT = ("/v1/files/file-cvaTdG/content", "/v1/files/file-HOWS94/content")
_RESULTS = ("/v1/messages/batches/msgbatch_013Zva2CMHLNnXjNJJKqJ2EF/results",)
_COUNTS = {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 1}

BATCH_OBJECTS: dict[str, list[tuple[dict[str, Any], str, tuple[str, ...]]]] = {
    "anthropic": [
        (_WORKING["anthropic"], "working", ()),
        ({**_WORKING["anthropic"], "processing_status": "canceling"}, "working", ()),
        (
            {
                **_WORKING["anthropic"],
                "processing_status": "ended",
                "request_counts": _COUNTS,
                "results_url": f"https://api.anthropic.com{_RESULTS[0]}",
            },
            "ended",
            _RESULTS,
        ),
    ],
    "openai": [
        *(
            ({**_WORKING["openai"], "status": status}, "working", ())
            for status in ("validating", "in_progress", "finalizing", "cancelling")
        ),
        *(
            ({**_WORKING["openai"], "status": status, **_FILES}, "ended", _OUT)
            for status in ("completed", "expired", "cancelled")
        ),
        ({**_WORKING["openai"], "status": "failed"}, "failed", ()),
    ],
}
"""A batch in each state, what that means, and where its answers lie; each has three requests."""

BATCH_LINES: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "anthropic": [
        (
            {
                "custom_id": "ca_1",
                "result": {"type": "succeeded", "message": ANSWERS["anthropic"]},
            },
            "answered",
            "",
        ),
        (
            {
                "custom_id": "ca_2",
                "result": {
                    "type": "errored",
                    "error": {
                        "type": "error",
                        "error": {"type": "invalid_request_error", "message": "…"},
                    },
                },
            },
            "not billed",
            "errored",
        ),
        ({"custom_id": "ca_3", "result": {"type": "expired"}}, "not billed", "expired"),
        ({"custom_id": "ca_4", "result": {"type": "canceled"}}, "not billed", "canceled"),
        (
            {"custom_id": "ca_5", "result": {"type": "succeeded", "message": {"content": 3}}},
            "unknown",
            "the answer is not of the protocol",
        ),
        (
            {"custom_id": "ca_6", "result": {"type": "new"}},
            "unknown",
            "it ended in a way that is not known",
        ),
    ],
    "openai": [
        (
            {
                "id": "batch_req_wnaDys",
                "custom_id": "ca_1",
                "response": {
                    "status_code": 200,
                    "request_id": "req_c187b3",
                    "body": ANSWERS["openai"],
                },
                "error": None,
            },
            "answered",
            "",
        ),
        (
            {
                "id": "batch_req_123",
                "custom_id": "ca_2",
                "response": None,
                "error": {"code": "batch_expired", "message": "…"},
            },
            "not billed",
            "batch_expired",
        ),
        (
            {
                "id": "batch_req_124",
                "custom_id": "ca_3",
                "response": {
                    "status_code": 400,
                    "request_id": "req_c187b4",
                    "body": {"error": {"message": "…", "type": "invalid_request_error"}},
                },
                "error": None,
            },
            "not billed",
            "refused (400)",
        ),
        (
            {
                "id": "batch_req_125",
                "custom_id": "ca_4",
                "response": {"status_code": 200, "request_id": "req_c187b5", "body": {}},
                "error": None,
            },
            "unknown",
            "the answer is not of the protocol",
        ),
    ],
}
"""A request of a batch, how it ended, and why."""
