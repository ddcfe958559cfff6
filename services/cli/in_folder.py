"""What `smallprint status` says, read from the databases of a data folder: for whoever has it, as
`policy try` and `calibrate` read them, without a key and of one tenant at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.status import AT_WORK, LOOKED_AT
from shared.cli.options import given
from shared.errors import NotFound, SuiteError

if TYPE_CHECKING:
    from services.ingest.domain import Document as Kept
    from shared.client import Document, Journal
    from shared.storage import Store

PAGE = 200
"""Items that are read at once."""


@contextmanager
def in_folder(data: Path | None, tenant: str) -> Iterator[InFolder]:
    """The databases of all services of a place. Raises SuiteError if there are none, or they are
    of another release.
    """
    from services.upkeep import files_of, stores_of
    from shared.cli.address import told
    from shared.settings import CommonSettings, load

    settings = load(CommonSettings, **given(data=data))
    files = [path for name, path in files_of(settings) if name != "bus"]
    if not all(path.is_file() for path in files):
        raise SuiteError(
            f"no suite has worked in {settings.data}: name its data folder with --data, or ask it "
            "with --url and a key, which `smallprint keys new NAME` makes where its data is"
        )
    with stores_of(settings) as stores:
        yield InFolder(settings.data, stores, tenant, told(data))


@dataclass(frozen=True)
class InFolder:
    """A data folder, of which one tenant's documents are asked for (`status.Asked`)."""

    folder: Path
    stores: Mapping[str, Store]
    tenant: str
    url: str = ""
    """Where its suite answers, where the folder does not say it, as on a volume of containers."""

    def document(self, document_id: str) -> Document:
        """See `Asked`. Raises NotFound if the tenant has none of that id."""
        from services.ingest.store import Documents

        with self.stores["ingest"].read() as session:
            found = Documents(session, self.tenant).get(document_id)
        if found is None:
            raise NotFound(
                f"the tenant {self.tenant} of {self.folder} has no document {document_id}"
            )
        return self._shown([found])[0]

    def journals(self, document_id: str) -> tuple[list[Journal], list[str]]:
        """See `Asked`; every database answers."""
        from shared.client import Journal
        from shared.events.asyncapi import RECEIVERS
        from shared.storage.journal import heard, said

        key = f"{self.tenant}/{document_id}"
        journals = [
            Journal.of(
                {
                    "service": service,
                    "hears": [type_ for type_, hear in RECEIVERS.items() if service in hear],
                    "said": [asdict(one) for one in said(store, key)],
                    "heard": [asdict(one) for one in heard(store, key)],
                }
            )
            for service, store in self.stores.items()
        ]
        return journals, []

    def waiting(self, document_id: str) -> int:
        """See `Asked`."""
        from services.review.store import Filters, list_items

        count, cursor, filters = 0, None, Filters(document=document_id)
        with self.stores["review"].read() as session:
            while True:
                found, cursor = list_items(
                    session, self.tenant, filters, datetime.now(UTC), limit=PAGE, cursor=cursor
                )
                count += len(found)
                if cursor is None:
                    return count

    def metrics(self) -> str:
        """See `Asked`. They are told to everybody who reaches the suite: no key is sent. Raises
        SuiteError if none of this folder runs.
        """
        import httpx

        from shared.cli.address import address

        try:
            url = address(self.folder)
        except SuiteError:
            if not self.url:
                raise
            url = self.url
        try:
            answer = httpx.get(f"{url}/metrics", timeout=60, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            raise SuiteError(
                f"the suite at {url} does not say what waits there ({type(error).__name__}): try "
                "again"
            ) from None
        return answer.text

    def at_work(self) -> Iterable[Document]:
        """See `Asked`."""
        from services.ingest.store import Documents, Filters

        for state in AT_WORK:
            with self.stores["ingest"].read() as session:
                documents = Documents(session, self.tenant)
                found, _ = documents.page(Filters(state=state), limit=LOOKED_AT)
            yield from self._shown(found)

    def _shown(self, found: Sequence[Kept]) -> list[Document]:
        """Documents as REST shows them."""
        from services.ingest.views import views
        from shared.client import Document

        shown = views(self.stores["ingest"], self.tenant, found)
        return [Document.of(one.model_dump(mode="json")) for one in shown]
