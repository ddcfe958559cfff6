"""Pictures of pages, drawn when somebody looks at one and kept for the next look.

They lie beside the blobs of their tenant, below the hash of the document they show, so that every
process of ingest finds them and a deletion removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from services.ingest.domain import Document, DocumentReader
from services.ingest.turns import Turns
from shared.errors import NotFound
from shared.events import BlobRef
from shared.storage import BlobStore
from shared.storage.blobs import folder_of

_TRIM_EVERY = 50
_SHOWN = ("application/pdf", "image/jpeg", "image/png", "image/tiff")


class PageImages:
    """A bounded cache of page images.

    Args:
        root: the folder of the blobs.
        renders: pages drawn at the same time; each is a child process.
        keep_bytes: bytes of images kept a tenant; the ones not looked at for longest go first.
    """

    def __init__(
        self,
        root: Path,
        blobs: BlobStore,
        reader: DocumentReader,
        renders: int = 2,
        keep_bytes: int = 2_000_000_000,
    ) -> None:
        self.root = root
        self.blobs = blobs
        self.reader = reader
        self.keep_bytes = keep_bytes
        self._drawing = Turns(renders, "a page to be drawn")
        self._written = 0

    def get(self, document: Document, number: int, alive: Callable[[], bool]) -> bytes:
        """Page `number` (from 1) as PNG. Raises NotFound beyond the last page, and TooManyRequests
        where as many are drawn and waited for as may be.

        `alive` is asked after the image is kept: an image of a document that was deleted while it
        was drawn does not stay.
        """
        if document.media_type not in _SHOWN:
            raise NotFound(
                "only a PDF and a picture have page images: read its text", document=document.id
            )
        if number < 1 or number > (document.progress.pages or number):
            raise NotFound(f"there is no page {number}", document=document.id)
        path = self._folder(document.tenant, document.readable) / f"{number}.png"
        image = _kept(path)
        if image is None:
            with self._drawing.taken(document.tenant):
                data = self.blobs.get(document.tenant, document.readable)
                image = self.reader.render(data, number)
            self._keep(path, image)
            if not alive():
                self.forget(document.tenant, [document.readable])
                raise NotFound(f"there is no document {document.id}", document=document.id)
        return image

    def forget(self, tenant: str, refs: Iterable[BlobRef]) -> None:
        """Remove every image of these documents."""
        for ref in refs:
            shutil.rmtree(self._folder(tenant, ref), ignore_errors=True)

    def _folder(self, tenant: str, ref: BlobRef) -> Path:
        return self.root / folder_of(tenant) / "pages" / ref.sha256

    def _keep(self, path: Path, image: bytes) -> None:
        if not self.keep_bytes:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(image)
        Path(file.name).replace(path)
        self._written += 1
        if self._written % _TRIM_EVERY == 1:
            self._trim(path.parent.parent)

    def _trim(self, folder: Path) -> None:
        """Keep below the limit; another process may do the same at the same time."""
        images = []
        for path in folder.glob("*/*.png"):
            try:
                images.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:
                continue
        over = sum(size for _, size, _ in images) - self.keep_bytes
        for _, size, path in sorted(images):
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= size


def _kept(path: Path) -> bytes | None:
    try:
        image = path.read_bytes()
        os.utime(path)
    except FileNotFoundError:
        return None
    return image
