"""A customer's server that receives webhooks and answers slowly."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from tests.support.local_server import Receiver, Reply, Request

ANSWERS_AFTER = 0.05
"""Delay of each answer, in seconds."""


@dataclass(frozen=True)
class ReceivedMessage:
    """One received message."""

    id: str
    type: str
    data: dict[str, Any]
    at: float = 0.0
    """Monotonic time of arrival, in seconds."""


class SlowReceiver(Receiver):
    """Records every message in `messages`."""

    def __init__(self) -> None:
        super().__init__(self._hear)
        self.messages: list[ReceivedMessage] = []

    def _hear(self, request: Request) -> Reply:
        message, now = json.loads(request.body), time.monotonic()
        identity = request.headers["webhook-id"]
        self.messages.append(ReceivedMessage(identity, message["type"], message["data"], now))
        time.sleep(ANSWERS_AFTER)
        return Reply()
