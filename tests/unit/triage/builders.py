"""A real triage service whose relay and worker run by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from services.triage.bootstrap import build
from services.triage.settings import Settings
from shared import documents
from shared.documents import ParsedDocument
from shared.events import DocumentIngested, DocumentRead, Kind, ReviewDecided
from shared.inference import Specialists
from shared.settings import load
from tests.support.builders import AnyKey, RunningService


class Triage(RunningService):
    """Triage with real parts, its client and its bus."""

    def __init__(
        self, folder: Path, specialists: Callable[[], Specialists] | None = None, **settings: Any
    ) -> None:
        chosen = {"data": folder, "bus_url": f"sqlite:///{folder / 'bus.db'}", **settings}
        super().__init__(build(load(Settings, **chosen), keys=AnyKey(), specialists=specialists))

    @classmethod
    def with_policy(cls, folder: Path, text: str, **settings: Any) -> Self:
        policy = folder / "policy.toml"
        policy.write_text(text)
        return cls(folder, policy=policy, **settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, document: str, part: str, **params: Any) -> Any:
        answer = self.client.get(f"/v1/documents/{document}/{part}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def findings(self, document: str = "doc_1", **params: Any) -> dict[str, Any]:
        body: dict[str, Any] = self.answer(document, "findings", **params)
        return body

    def decide(
        self, document: str, finding: str, verdict: Any, note: str | None = None
    ) -> ReviewDecided:
        """Handle a person's decision about a finding."""
        event = decided({"id": finding}, verdict, note, document)
        self.handle(event)
        return event

    def ingested(self, document: str, kind: Kind = "report", attempt: int = 1) -> DocumentIngested:
        return DocumentIngested(
            document_id=document,
            name="a.json",
            media_type="application/json",
            kind=kind,
            original=self.service.blobs.put("default", b"{}"),
            attempt=attempt,
        )

    def read(
        self,
        document: str,
        *records: Any,
        media_type: str = "application/x-ndjson",
        name: str = "a.jsonl",
        tenant: str = "default",
        **more: Any,
    ) -> DocumentRead:
        """The event of a stored document of these lines; bytes are kept as they are."""
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
        ref = self.service.blobs.put(tenant, b"\n".join(lines))
        values: dict[str, Any] = {
            "document_id": document,
            "tenant": tenant,
            "name": name,
            "media_type": media_type,
            "kind": "report",
            "original": ref,
            "text": ref,
            "layout": ref,
            "pages": 1,
        }
        return DocumentRead(**{**values, **more})

    def page(
        self,
        document: str,
        data: bytes,
        name: str,
        *,
        reading: ParsedDocument | None = None,
        **more: Any,
    ) -> DocumentRead:
        """The event of a parsed document."""
        parsed = reading or documents.read(data, name=name)
        text, layout = (
            self.service.blobs.put("default", blob)
            for blob in (parsed.text.encode(), parsed.to_bytes())
        )
        media_type = parsed.media_type
        return self.read(
            document, data, media_type=media_type, name=name, text=text, layout=layout, **more
        )


def decided(item: dict[str, Any], verdict: Any, note: str | None, document: str) -> ReviewDecided:
    """The event of review for a decision about a finding."""
    return ReviewDecided(
        document_id=document,
        actor="ada",
        item_id="it_1",
        stage="triage",
        result_id=item["id"],
        decision_id="de_1",
        verdict=verdict,
        note=note,
    )
