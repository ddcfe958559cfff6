"""A REST client that retries while a server is in trouble."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

SECONDS = 10.0
"""Time-out of one answer, in seconds."""
PATIENCE = 300.0
"""Seconds after which a client gives up."""


class GivenUpError(Exception):
    """There was no answer for too long."""


class PatientClient:
    """Sends requests with one key. `answers` counts each kind of answer, and failures."""

    def __init__(self, url: str, key: str) -> None:
        self.answers: Counter[str] = Counter()
        self.http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=SECONDS,
            trust_env=False,
        )

    def ask(
        self, method: str, path: str, patience: float = PATIENCE, **content: Any
    ) -> httpx.Response:
        """Return the first answer that is no server error. Raises GivenUpError."""
        until = time.monotonic() + patience
        while True:
            try:
                answer = self.http.request(method, path, **content)
                result = str(answer.status_code)
            except httpx.TransportError as error:
                result = type(error).__name__
            self.answers[result] += 1
            if result.isdigit() and int(result) < 500 and result != "429":
                return answer
            if time.monotonic() > until:
                raise GivenUpError(f"{method} {path} is not answered for {patience:g} s: {result}")
            time.sleep(0.3)

    def get(self, path: str) -> Any:
        """Return the answer of a path. Raises GivenUpError, also for a status other than 200."""
        answer = self.ask("GET", path)
        if answer.status_code != 200:
            raise GivenUpError(f"GET {path} answers {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page."""
        joint = "&" if "?" in path else "?"
        page = self.get(path)
        yield from page["items"]
        while page.get("next"):
            page = self.get(f"{path}{joint}cursor={page['next']}")
            yield from page["items"]
