"""Page images, rendered on demand and cached.

They are beside the blobs of their tenant, below the hash of their document, so that every process
finds them and a deletion removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from services.ingest.domain import Document, DocumentReader
from shared.blobs import BlobStore
from shared.blobs.protocol import folder_of
from shared.errors import NotFound
from shared.events import BlobRef
from shared.web.admission import ConcurrencyLimit

_TRIM_EVERY = 50
_SHOWN = ("application/pdf", "image/jpeg", "image/png", "image/tiff")


class PageImages:
    """A bounded cache of page images.

    Args:
        root: the folder of the blobs.
        renders: pages rendered at the same time, each in a child process.
        max_bytes: cached bytes per tenant; least recently used images are removed first.
    """

    def __init__(
        self,
        root: Path,
        blobs: BlobStore,
        reader: DocumentReader,
        renders: int = 2,
        max_bytes: int = 2_000_000_000,
    ) -> None:
        self.root = root
        self.blobs = blobs
        self.reader = reader
        self.max_bytes = max_bytes
        self._drawing = ConcurrencyLimit(renders, "a page image")
        self._written = 0

    def get(self, document: Document, number: int, require: Callable[[], object]) -> bytes:
        """Return page `number` (from 1) as PNG.

        Args:
            require: raises NotFound if the document was deleted meanwhile, so that no image stays.

        Raises NotFound beyond the last page, TooManyRequests if too many pages are being rendered.
        """
        if document.media_type not in _SHOWN:
            raise NotFound("Only PDFs and images have page images.", document=document.id)
        if number < 1 or number > (document.progress.pages or number):
            raise NotFound(f"There is no page {number}.", document=document.id)
        path = self._folder(document.tenant, document.readable) / f"{number}.png"
        image = _read_cached(path)
        if image is None:
            with self._drawing.acquire(document.tenant):
                data = self.blobs.get(document.tenant, document.readable)
                image = self.reader.render(data, number)
            self._store(path, image)
            try:
                require()
            except NotFound:
                self.forget(document.tenant, [document.readable])
                raise
        return image

    def forget(self, tenant: str, refs: Iterable[BlobRef]) -> None:
        for ref in refs:
            shutil.rmtree(self._folder(tenant, ref), ignore_errors=True)

    def _folder(self, tenant: str, ref: BlobRef) -> Path:
        return self.root / folder_of(tenant) / "pages" / ref.sha256

    def _store(self, path: Path, image: bytes) -> None:
        if not self.max_bytes:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(image)
        Path(file.name).replace(path)
        self._written += 1
        if self._written % _TRIM_EVERY == 1:
            self._trim(path.parent.parent)

    def _trim(self, folder: Path) -> None:
        """Remove images above the limit; another process may do so at the same time."""
        images = []
        for path in folder.glob("*/*.png"):
            try:
                images.append((path.stat().st_mtime, path.stat().st_size, path))
            except FileNotFoundError:
                continue
        over = sum(size for _, size, _ in images) - self.max_bytes
        for _, size, path in sorted(images):
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= size


def _read_cached(path: Path) -> bytes | None:
    try:
        image = path.read_bytes()
        os.utime(path)
    except FileNotFoundError:
        return None
    return image
