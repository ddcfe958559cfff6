"""The client: one method for each thing that REST offers, with tries that repeat nothing twice."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from io import SEEK_END, BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import httpx

from .errors import NotFound, Unavailable, WaitedTooLong, error_of
from .results import (
    Change,
    Clause,
    Clauses,
    Costs,
    Decision,
    Delivery,
    Document,
    DocumentValue,
    Escalation,
    Filing,
    Finding,
    Findings,
    History,
    Hit,
    Item,
    Journal,
    Key,
    Kind,
    NarrativeFlag,
    NarrativeFlags,
    Outcome,
    Page,
    Presence,
    Proposal,
    Report,
    Signal,
    State,
    Tombstone,
    TriageModel,
    Verdict,
    Watched,
    Webhook,
)

log = logging.getLogger(__name__)

LONG_POLL = 20.0
LONGEST_PAUSE = 1.0
"""Seconds between two looks at a document, at most."""
PIECE = 8 << 20
"""Bytes of one request of a large upload; whatever is larger is sent in pieces."""
_TUS = {"tus-resumable": "1.0.0"}
_AGAIN = frozenset({429, 502, 503, 504})
_AGAIN_AFTER = 1.0
"""Seconds until a stream that has ended is asked for again: a crowded service ends it at once."""
_LOOKS = 30
"""How often it is asked what became of a first try: one that was cut off is let go of in 15 s."""
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 30.0


class Client:
    """Talks to one origin with one key. Use it in a `with` block or call `close()`.

    Args:
        url: the origin, such as `http://127.0.0.1:8400`.
        key: an API key, `sp_…`.
        timeout: seconds to wait for one answer; at least the 20 of a long poll.
        retries: further tries after a request that can safely be repeated got no answer, or 429,
            502, 503 or 504. An upload can, and so can whatever makes something: each carries an
            `Idempotency-Key`, so that what was done is not done again.
        patience: seconds for which an upload or another attempt waits while as many documents are
            in work as the service takes in at a time (429 `queue_full`); that is said in the log.
        transport: another httpx transport, for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        patience: float = 3600.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.retries = retries
        self.patience = patience
        self.sleep: Callable[[float], None] = time.sleep
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=timeout,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # ------------------------------------------------------------------ documents

    def upload(
        self,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        kind: Kind | None = None,
        password: str | None = None,
        adapters: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Document:
        """Upload one document: a path, or its bytes. The same bytes again are the same document.

        `adapters` are the specialists that are to read it if it is a contract; by default the one
        that is set up.

        `idempotency_key` is made up if none is given. One of your own, kept beside the file, makes
        an upload safe to repeat after your own program has died.

        A large one is sent in pieces, and goes on where it was when the connection breaks; not so
        one with a password, which would have to be kept until the end.

        Raises Refused with the reason if it is empty, too large, of a type that is not read, if the
        password does not open it, or if there is no such adapter: then it names those there are.
        """
        said = {"kind": kind, "password": password, "adapter": list(adapters)}
        fields = {name: value for name, value in said.items() if value}
        once = _once_key(idempotency_key)
        label = name or ("document" if isinstance(source, bytes) else Path(source).name)
        with ExitStack() as stack:
            content: bytes | BinaryIO = (
                source
                if isinstance(source, bytes)
                else stack.enter_context(Path(source).open("rb"))
            )

            stream = BytesIO(content) if isinstance(content, bytes) else content
            length = stream.seek(0, SEEK_END)
            if length > PIECE and not password:
                values = {"filename": label, "kind": kind or "", "adapter": ",".join(adapters)}
                return self._upload_in_pieces(stream, length, values, once)

            def send() -> httpx.Response:
                if not isinstance(content, bytes):
                    content.seek(0)
                files = {"file": (label, content)}
                return self._http.post("/v1/documents", files=files, data=fields, headers=once)

            return Document.of(self._tried(send).json())

    def _upload_in_pieces(
        self,
        content: BinaryIO,
        length: int,
        values: Mapping[str, str],
        once: Mapping[str, str],
    ) -> Document:
        """By the tus protocol. What is begun and never finished is removed by the service."""
        address = self._begin(length, values, once)
        offset, failures, document = 0, 0, None
        while document is None:
            content.seek(offset)
            answer = self._piece(address, content.read(PIECE), offset)
            failures = 0 if answer is not None else failures + 1
            if answer is None:  # nobody knows what came
                if failures > self.retries:
                    raise Unavailable(503, "no_answer", f"the upload stays at byte {offset:,}")
                self.sleep(_pause(failures - 1))
                answer = self._tried(lambda: self._http.head(address, headers=_TUS))
            before, offset = offset, int(answer.headers["upload-offset"])
            failures = 0 if offset > before else failures
            document = answer.headers.get("smallprint-document")
        return self.document(document)

    def _begin(self, length: int, values: Mapping[str, str], once: Mapping[str, str]) -> str:
        coded = (f"{key} {_base64(value.encode())}" for key, value in values.items() if value)
        metadata = ",".join(coded)
        headers = {**_TUS, **once, "upload-length": str(length), "upload-metadata": metadata}
        answer = self._tried(lambda: self._http.post("/v1/uploads", headers=headers))
        return str(answer.headers["location"])

    def _piece(self, address: str, piece: bytes, offset: int) -> httpx.Response | None:
        """Send some bytes. None if they may have come or not, and the offset has to be asked for.

        Raises the error that ends the upload.
        """
        digest = _base64(hashlib.sha256(piece).digest())
        headers = {
            **_TUS,
            "content-type": "application/offset+octet-stream",
            "upload-offset": str(offset),
            "upload-checksum": f"sha256 {digest}",
        }
        try:
            answer = self._http.patch(address, content=piece, headers=headers)
        except httpx.TransportError:
            return None
        unsure = answer.status_code in _AGAIN | {400, 409, 460}
        return None if unsure else _good(answer)

    def document(self, document_id: str) -> Document:
        """Where a document stands."""
        return Document.of(self._get(f"/v1/documents/{document_id}").json())

    def wait(self, document_id: str, timeout: float = 600.0) -> Document:
        """Wait until a document has ended, well or badly: look at its `outcome`.

        Raises WaitedTooLong after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        pause = 0.1
        while True:
            left = max(0.0, min(LONG_POLL, until - time.monotonic()))
            answer = self._get(f"/v1/documents/{document_id}", wait=round(left, 2))
            document = Document.of(answer.json())
            if document.state == "ended":
                return document
            if time.monotonic() >= until:
                raise WaitedTooLong(
                    f"document {document_id} is still {document.state} after {timeout:g} seconds"
                )
            left = max(0.0, until - time.monotonic())
            self.sleep(min(pause, left))  # in a crowd the answer comes at once
            pause = min(LONGEST_PAUSE, 1.5 * pause)

    def documents(
        self,
        *,
        state: State | None = None,
        kind: Kind | None = None,
        outcome: Outcome | None = None,
        parent: str | None = None,
        sha256: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[Document]:
        """The documents of the tenant, newest first, fetched as they are asked for.

        Args:
            parent: id of a mail or archive: only what lies in it.
            sha256: of the bytes as uploaded: the one document, if it is there.
            actor: name of the key that uploaded them.
            since: only what was uploaded then or later; with a zone.
            before: only what was uploaded earlier; with a zone.
        """
        pages = self._pages(
            "/v1/documents",
            state=state,
            kind=kind,
            outcome=outcome,
            parent=parent,
            sha256=sha256,
            actor=actor,
            since=since and since.isoformat(),
            before=before and before.isoformat(),
        )
        return (Document.of(item) for item in pages)

    def changes(self, after: int | None = None) -> Iterator[Change]:
        """Every change of a document of the tenant as it happens, without end.

        The connection is made anew whenever it ends, and nothing is missed. Keep the `number` of
        the last change to go on from there another time.

        Args:
            after: `number` of a change; 0: every document that there is, too; None: from now on.

        Raises:
            Unavailable: nobody has answered, after all tries.
        """
        failures = 0
        while True:
            try:
                for number, change in self._changes(after):
                    after, failures = number, 0
                    if change is not None:
                        yield change
                self.sleep(_AGAIN_AFTER)
            except (httpx.TransportError, Unavailable) as error:
                if failures >= self.retries:
                    raise error if isinstance(error, Unavailable) else _no_answer(error) from error
                self.sleep(_pause(failures))
                failures += 1

    def _changes(self, after: int | None) -> Iterator[tuple[int, Change | None]]:
        """One connection: the number to go on from, at first without a change."""
        params = {} if after is None else {"after": after}
        with self._http.stream("GET", "/v1/documents/events", params=params) as answer:
            if answer.status_code >= 300:
                answer.read()
                raise error_of(answer)
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif "id" in fields:
                    yield int(fields["id"]), _change(fields)
                    fields = {}

    def text(self, document_id: str) -> str:
        """The text that every offset counts in. Raises Conflict while there is none."""
        return self._get(f"/v1/documents/{document_id}/text").content.decode()

    def original(self, document_id: str) -> bytes:
        """The bytes as uploaded."""
        return self._get(f"/v1/documents/{document_id}/original").content

    def page_text(self, document_id: str, number: int) -> str:
        """The text of page `number` (from 1), also while others are still read: then by itself.

        Raises Conflict while that page is not read, NotFound if it could not be.
        """
        return self._get(f"/v1/documents/{document_id}/pages/{number}.txt").content.decode()

    def page_image(self, document_id: str, number: int) -> bytes:
        """Page `number` (from 1) of a PDF or picture as PNG."""
        return self._get(f"/v1/documents/{document_id}/pages/{number}.png").content

    def pages(self, document_id: str) -> list[Page]:
        """How each page was read, and how sure that is; while a long document is read, its first
        pages. Raises Conflict while there is none.
        """
        return [Page.of(item) for item in self._pages(f"/v1/documents/{document_id}/pages")]

    def cancel(self, document_id: str, *, if_match: str | None = None) -> Document:
        """Stop the work on a document that has not ended, and on what came in it: both fail.

        `if_match` is the `etag` of what is known of it: raises Stale if it has changed since.
        Raises Conflict if it has ended.
        """
        path = f"/v1/documents/{document_id}/cancel"
        headers = _if_match(if_match)
        return Document.of(self._tried(lambda: self._http.post(path, headers=headers)).json())

    def say_kind(self, document_id: str, kind: Kind, *, if_match: str | None = None) -> Document:
        """Say of what kind a document is: if another, or if unsure, it is worked on anew.

        `if_match` is the `etag` of what is known of it: raises Stale if it has changed since.
        Raises Conflict for an archive.
        """
        path, headers = f"/v1/documents/{document_id}/kind", _if_match(if_match)
        answer = self._tried(lambda: self._http.put(path, json={"kind": kind}, headers=headers))
        return Document.of(answer.json())

    def reprocess(
        self,
        document_id: str,
        *,
        password: str | None = None,
        adapters: Sequence[str] = (),
        if_match: str | None = None,
    ) -> Document:
        """Work on a document again from its bytes. Raises Conflict while it is being worked on.

        `password` opens an encrypted PDF; raises Refused if it is wrong. `adapters` are the
        specialists that are to read it now instead of those before. `if_match` is the `etag`
        of what is known of it: raises Stale if it has changed since.
        """
        path = f"/v1/documents/{document_id}/reprocess"
        said: dict[str, Any] = {} if password is None else {"password": password}
        if adapters:
            said["adapters"] = list(adapters)
        wish = {"json": said} if said else {}
        answer = self._post_once(path, headers=_if_match(if_match), **wish)
        return Document.of(answer.json())

    def delete(self, document_id: str, *, if_match: str | None = None) -> None:
        """Delete a document everywhere, and what lies in it and nowhere else.

        `if_match` is the `etag` of what is known of it: raises Stale if it has changed since.
        """
        self._delete(f"/v1/documents/{document_id}", _if_match(if_match))

    def deletions(self) -> Iterator[Tombstone]:
        """What was deleted, by whom and when, the latest first."""
        return (Tombstone.of(item) for item in self._pages("/v1/deletions"))

    def deletion(self, document_id: str) -> Tombstone:
        """Who deleted a document, and when. Raises NotFound if nobody did."""
        return Tombstone.of(self._get(f"/v1/deletions/{document_id}").json())

    def retention(self) -> dict[Kind | None, int]:
        """Days after its upload that a document is kept, by kind; None: every other kind."""
        return {rule["kind"]: rule["days"] for rule in self._pages("/v1/retention")}

    def set_retention(self, days: Mapping[Kind | None, int]) -> None:
        """Keep documents for so many days, by kind, instead of what was said before."""
        items = [{"kind": kind, "days": number} for kind, number in days.items()]
        self._tried(lambda: self._http.put("/v1/retention", json={"items": items}))

    def journal(self, document_id: str, service: str) -> Journal:
        """Which events of a document a service (`ingest`, `extraction`, `triage`, `review` or
        `escalation`) has, had and announced."""
        return Journal.of(self._get(f"/v1/documents/{document_id}/journal/{service}").json())

    def metrics(self) -> str:
        """What is measured of the suite, as Prometheus reads it."""
        return self._get("/metrics").text

    # ------------------------------------------------------------------ results

    def clauses(
        self,
        document_id: str,
        *,
        category: str | None = None,
        adapter: str | None = None,
        early: bool = False,
    ) -> Clauses:
        """The clauses of a contract, in the order of its text; those of one adapter, or of all
        that have read it. Raises Conflict for an adapter that has not.

        While a long contract is read, `early` gives those of its first pages; they may change, and
        the list is `provisional`.
        """
        path = f"/v1/documents/{document_id}/clauses"
        asked = {"category": category, "adapter": adapter, "early": "true" if early else None}
        head: dict[str, Any] = self._get(path, **asked).json()
        items = list(head["items"])
        if head["next"]:
            items += self._pages(path, cursor=head["next"], **asked)
        found = (Clause.of(item) for item in items)
        return Clauses(found, head.get("provisional", False), head.get("pages"))

    def presence(self, document_id: str, *, adapter: str | None = None) -> list[Presence]:
        """For every category of an adapter, or of all, whether the contract has such a clause."""
        path = f"/v1/documents/{document_id}/presence"
        return [Presence.of(item) for item in self._pages(path, adapter=adapter)]

    def values(self, document_id: str, *, adapter: str | None = None) -> list[DocumentValue]:
        """The dates, terms, sums, law and parties of a contract: at least one line a category
        that was looked for.
        """
        path = f"/v1/documents/{document_id}/values"
        return [DocumentValue.of(item) for item in self._pages(path, adapter=adapter)]

    def findings(self, document_id: str) -> Findings:
        """What does not add up in a report, the surest first.

        Raises Conflict for one without statements; what it says in words are its narrative flags.
        """
        path = f"/v1/documents/{document_id}/findings"
        head: dict[str, Any] = self._get(path).json()
        items = list(head["items"])
        if head["next"]:
            items += self._pages(path, cursor=head["next"])
        return Findings(
            flagged=head["flagged"],
            risk=head["risk"],
            items=tuple(Finding.of(item) for item in items),
            warnings=tuple(head.get("warnings", ())),
            model=TriageModel.of(head["model"]) if head.get("model") else None,
            filings=head.get("filings", 0),
        )

    def signals(self, document_id: str) -> list[Signal]:
        """What is unusual in a report though it adds up: filing by filing, the most unusual first.

        Raises Conflict for one that was judged before signals were given.
        """
        path = f"/v1/documents/{document_id}/signals"
        return [Signal.of(item) for item in self._pages(path)]

    def narrative_flags(self, document_id: str) -> NarrativeFlags:
        """What a report says of its filer in words, the surest sentence first; also of a report in
        which no statements were found.

        Raises Conflict for one that was judged before sentences were looked for.
        """
        path = f"/v1/documents/{document_id}/narrative-flags"
        head: dict[str, Any] = self._get(path).json()
        items = list(head["items"])
        if head["next"]:
            items += self._pages(path, cursor=head["next"])
        return NarrativeFlags(map(NarrativeFlag.of, items), head.get("warnings", ()))

    def history(self, document_id: str) -> Iterator[History]:
        """What a report says of earlier periods beside what its company said then, as far as that
        is in the store: filing by filing, fetched as they are asked for. It changes no verdict.
        """
        return map(History.of, self._pages(f"/v1/documents/{document_id}/history"))

    def reports(
        self,
        *,
        flagged: bool | None = None,
        least: float | None = None,
        most: float | None = None,
        order: Literal["-risk", "risk"] = "-risk",
    ) -> Iterator[Report]:
        """Reports by risk, the riskiest first, fetched as they are asked for.

        Args:
            flagged: only those, or only the others.
            least: risk at the least.
            most: risk at the most.
            order: `risk` for the least risky first.
        """
        only = None if flagged is None else str(flagged).lower()
        pages = self._pages("/v1/reports", flagged=only, least=least, most=most, order=order)
        return (Report.of(item) for item in pages)

    def search(
        self,
        query: str,
        *,
        within: Literal["text", "clauses"] = "text",
        category: str | None = None,
        kind: Kind | None = None,
        document: str | None = None,
    ) -> Iterator[Hit]:
        """Places where all words of a query stand together on one page, or in one clause, fetched
        as they are asked for: those of the document that was read last first.

        `"words in quotes"` stand side by side, `word*` begins so. A `category` means clauses.
        """
        params = {"q": query, "in": within, "category": category, "kind": kind}
        pages = self._pages("/v1/search", **params, document=document)
        return (Hit.of(item) for item in pages)

    def statements(self, document_id: str) -> list[Filing]:
        """What was read of a report: its filings, with the place of every value."""
        path = f"/v1/documents/{document_id}/statements"
        return [Filing.of(item) for item in self._pages(path)]

    def watched(self, *, findings: bool = False) -> Watched:
        """Whether stated risks are kept, by specialist, and what was noticed or done about it.

        Args:
            findings: ask about findings of reports, and not about clauses of contracts.
        """
        return Watched.of(self._get("/v1/watch/findings" if findings else "/v1/watch").json())

    # ------------------------------------------------------------------ review

    def items(self, **filters: str) -> Iterator[Item]:
        """The review queue, most urgent first; filters as REST has them: kind, document, …"""
        return (Item.of(item) for item in self._pages("/v1/items", **filters))

    def claim(self, item_id: str | None = None, **filters: str) -> Item | None:
        """Hold an item for a while: this one, or the most urgent that fits.

        Returns None if nothing waits. Raises Conflict if somebody else holds it.
        """
        wanted = {**filters, **({"item": item_id} if item_id else {})}
        answer = self._once("POST", "/v1/items/claim", json=wanted)
        return None if answer.status_code == 204 else Item.of(answer.json())

    def release(self, item_id: str) -> None:
        """Give an item back to the queue."""
        self._once("POST", f"/v1/items/{item_id}/release")

    def decide(
        self,
        item_id: str,
        verdict: Verdict,
        *,
        correction: dict[str, Any] | None = None,
        note: str = "",
    ) -> Decision:
        """Decide an item, or undo its decision. It takes effect once, however often it is tried."""
        wish: dict[str, Any] = {
            "item": item_id,
            "verdict": verdict,
            "note": note,
            "id": f"de_{secrets.token_hex(16)}",
        }
        if correction is not None:
            wish["correction"] = correction
        answer = self._tried(lambda: self._http.post("/v1/decisions", json=wish))
        return Decision.of(answer.json()["decision"])

    def decisions(self, **filters: str) -> Iterator[Decision]:
        """What was decided, newest first; filters as REST has them: document, item, by."""
        return (Decision.of(item) for item in self._pages("/v1/decisions", **filters))

    def export(self, form: str = "jsonl", **filters: str) -> bytes:
        """Results with their decisions as a file: `jsonl`, `csv` or `xlsx`."""
        return self._get("/v1/exports", format=form, **filters).content

    # ------------------------------------------------------------------ keys

    def own_key(self) -> Key:
        """Whose key this is."""
        return Key.of(self._get("/v1/keys/self").json())

    def keys(self) -> list[Key]:
        """The keys of the tenant, without secrets."""
        return [Key.of(item) for item in self._pages("/v1/keys")]

    def create_key(self, name: str, scopes: Sequence[str] | None = None) -> Key:
        """Make a key; its `secret` can't be shown again. Without scopes: all that this one has."""
        wanted = {"name": name, **({} if scopes is None else {"scopes": list(scopes)})}
        return Key.of(self._once("POST", "/v1/keys", json=wanted).json())

    def revoke_key(self, key_id: str) -> None:
        """End a key and its sessions."""
        self._delete(f"/v1/keys/{key_id}")

    # ------------------------------------------------------------------ the frontier

    def escalations(self) -> Iterator[Escalation]:
        """What was asked of frontier models and has no answer, newest first."""
        return (Escalation.of(item) for item in self._pages("/v1/escalations"))

    def proposals(self) -> Iterator[Proposal]:
        """What frontier models answered, newest first."""
        return (Proposal.of(item) for item in self._pages("/v1/escalations/proposals"))

    def costs(
        self,
        by: Literal["provider", "model", "day", "kind", "document", "adapter", "tenant"] = "day",
        model: str | None = None,
    ) -> Costs:
        """What asking frontier models cost and what specialists did, in groups by a key; `model`
        is the one whose price says what it would have cost otherwise.
        """
        return Costs.of(self._get("/v1/costs", by=by, **({"model": model} if model else {})).json())

    # ------------------------------------------------------------------ webhooks

    def webhooks(self) -> Iterator[Webhook]:
        """The webhooks of the tenant, newest first, without secrets."""
        return (Webhook.of(item) for item in self._pages("/v1/webhooks"))

    def webhook(self, webhook_id: str) -> Webhook:
        """One webhook, and how sending to it goes."""
        return Webhook.of(self._get(f"/v1/webhooks/{webhook_id}").json())

    def create_webhook(
        self, url: str, types: Sequence[str] = (), *, description: str = ""
    ) -> Webhook:
        """Register a webhook for these types of events (none: all).

        Its `secret` verifies what it is sent, and can't be shown again.
        """
        wish = {"url": url, "types": list(types), "description": description}
        return Webhook.of(self._post_once("/v1/webhooks", json=wish).json())

    def change_webhook(self, webhook_id: str, **changes: Any) -> Webhook:
        """Change `url`, `types`, `description` or `enabled`."""
        path = f"/v1/webhooks/{webhook_id}"
        return Webhook.of(self._tried(lambda: self._http.patch(path, json=changes)).json())

    def rotate_webhook_secret(self, webhook_id: str, *, overlap: int = 86_400) -> Webhook:
        """Make a new `secret`; the old one signs as well for `overlap` seconds."""
        path = f"/v1/webhooks/{webhook_id}/rotate"
        return Webhook.of(self._post_once(path, json={"overlap": overlap}).json())

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook with its log."""
        self._delete(f"/v1/webhooks/{webhook_id}")

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Send a test event, once; ask for the delivery again to see how it went."""
        return Delivery.of(self._once("POST", f"/v1/webhooks/{webhook_id}/test").json())

    def deliveries(self, webhook_id: str, **filters: str) -> Iterator[Delivery]:
        """The log of a webhook, newest first; filters as REST has them: state, type, document."""
        path = f"/v1/webhooks/{webhook_id}/deliveries"
        return (Delivery.of(item) for item in self._pages(path, **filters))

    def delivery(self, webhook_id: str, delivery_id: str) -> Delivery:
        """One delivery with its attempts."""
        path = f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}"
        return Delivery.of(self._get(path).json())

    def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send one delivery again, whatever became of it."""
        path = f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"
        return Delivery.of(self._once("POST", path).json())

    def redeliver_failed(self, webhook_id: str, since: datetime) -> int:
        """Send all again that failed since a moment (with a zone). Returns how many that are."""
        path = f"/v1/webhooks/{webhook_id}/redeliver"
        answer = self._once("POST", path, json={"since": since.isoformat()})
        return int(answer.json()["count"])

    # ------------------------------------------------------------------ requests

    def _get(self, path: str, **params: Any) -> httpx.Response:
        given = {name: value for name, value in params.items() if value is not None}
        return self._tried(lambda: self._http.get(path, params=given))

    def _pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        while True:
            page = self._get(path, **params).json()
            yield from page["items"]
            if page["next"] is None:
                return
            params["cursor"] = page["next"]

    def _delete(self, path: str, headers: Mapping[str, str] | None = None) -> None:
        """Gone is gone: a further try that finds nothing has done what was asked."""
        tries = 0

        def send() -> httpx.Response:
            nonlocal tries
            tries += 1
            return self._http.delete(path, headers=headers)

        try:
            self._tried(send)
        except NotFound:
            if tries == 1:
                raise

    def _post_once(
        self, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """A request that may be repeated, for the service knows it again and does nothing twice."""
        sent = {**_once_key(), **(headers or {})}
        return self._tried(lambda: self._http.post(path, headers=sent, **options))

    def _once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request that is not repeated: nobody knows whether it took effect."""
        try:
            return _good(self._http.request(method, path, **options))
        except httpx.TransportError as error:
            raise _no_answer(error) from error

    def _tried(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """A request that may be repeated, with growing pauses or the one that the service names."""
        failures = looks = 0
        began, told = time.monotonic(), False
        while True:
            try:
                answer = send()
            except httpx.TransportError as error:
                if failures == self.retries:
                    raise _no_answer(error) from error
                self.sleep(_pause(failures))
                failures += 1
                continue
            if _is_full(answer) and time.monotonic() - began < self.patience:
                if not told:
                    log.warning("%s: waiting until there is room", error_of(answer).detail)
                told = True
                self.sleep(max(1.0, _pause(failures, answer.headers.get("retry-after", ""))))
                continue
            at_work = _is_at_work(answer) and looks < _LOOKS
            if not at_work and (answer.status_code not in _AGAIN or failures == self.retries):
                return _good(answer)
            self.sleep(_pause(failures, answer.headers.get("retry-after", "")))
            looks += at_work
            failures += not at_work


def _is_at_work(answer: httpx.Response) -> bool:
    """Whether the first try of the same request is being worked on, or was cut off a moment ago."""
    return answer.status_code == 409 and "retry-after" in answer.headers


def _is_full(answer: httpx.Response) -> bool:
    """Whether it is refused for as long as so many documents are in work."""
    return answer.status_code == 429 and error_of(answer).code == "queue_full"


def _once_key(key: str | None = None) -> dict[str, str]:
    """The header by which a request is known again; quoted, as the draft has it."""
    return {"idempotency-key": f'"{key or secrets.token_hex(16)}"'}


def _if_match(etag: str | None) -> dict[str, str]:
    return {} if etag is None else {"if-match": etag}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 300:
        raise error_of(answer)
    return answer


def _change(fields: dict[str, str]) -> Change | None:
    if "data" not in fields:
        return None
    body = json.loads(fields["data"])
    gone = fields["event"] == "deleted"
    return Change(int(fields["id"]), body["id"], None if gone else Document.of(body))


def _no_answer(error: httpx.TransportError) -> Unavailable:
    what = str(error) or type(error).__name__
    return Unavailable(503, "no_answer", f"the service does not answer: {what}")


def _pause(attempt: int, wanted: str = "") -> float:
    """Seconds: what the service asks for, or twice as long each time, spread by chance."""
    if wanted.isdecimal():
        return min(float(wanted), _LONGEST_DELAY)
    return float(min(_FIRST_DELAY * 2**attempt, _LONGEST_DELAY) * random.uniform(0.5, 1.0))
