"""Page images, rendered on demand and cached.

They are beside the blobs of their tenant, below the hash of their document, so that every process
finds them and a deletion removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from services.ingest.domain import Document, DocumentReader
from shared.blobs import BlobStore
from shared.blobs.protocol import folder_of
from shared.errors import NotFound, UnreadableDocument
from shared.events import BlobRef
from shared.web.admission import ConcurrencyLimit

_TRIM_EVERY = 50
_PIXELS_PER_POINT = 2.0
_MOST_FAILURES = 1_000
_FAILURE_SECONDS = 3_600.0
"""Seconds for which a page that can't be drawn is not drawn again."""
_SHOWN = ("application/pdf", "image/jpeg", "image/png", "image/tiff")


class PageImages:
    """A bounded cache of page images.

    Args:
        root: the folder of the blobs.
        drawing: pages drawn at the same time.
        max_bytes: cached bytes per tenant; least recently used images are removed first.
    """

    def __init__(
        self,
        root: Path,
        blobs: BlobStore,
        reader: DocumentReader,
        drawing: ConcurrencyLimit,
        max_bytes: int = 2_000_000_000,
    ) -> None:
        self.root = root
        self.blobs = blobs
        self.reader = reader
        self.max_bytes = max_bytes
        self._drawing = drawing
        self._written = 0
        self._failures: dict[Path, tuple[float, type[UnreadableDocument], str]] = {}

    def get(
        self, document: Document, number: int, require: Callable[[], object], scale: int = 1
    ) -> bytes:
        """Return page `number` (from 1) as PNG.

        Args:
            require: raises NotFound if the document was deleted meanwhile, so that no image stays.
            scale: 1 for two pixels per point, 2 for four.

        Raises NotFound beyond the last page, UnreadableDocument for a page that can't be drawn, and
        TooManyRequests if too many requests wait.
        """
        if document.media_type not in _SHOWN:
            raise NotFound("Only PDFs and images have page images.", document=document.id)
        if number < 1 or number > (document.progress.pages or number):
            raise NotFound(f"There is no page {number}.", document=document.id)
        name = f"{number}.png" if scale == 1 else f"{number}@{scale}.png"
        path = self._folder(document.tenant, document.readable) / name
        image = self._known(path, document)
        if image is None:
            with self._drawing.acquire(document.tenant):
                image = self._known(path, document) or self._draw(path, document, number, scale)
            try:
                require()
            except NotFound:
                self.forget(document.tenant, [document.readable])
                raise
        return image

    def forget(self, tenant: str, refs: Iterable[BlobRef]) -> None:
        for ref in refs:
            shutil.rmtree(self._folder(tenant, ref), ignore_errors=True)

    def _known(self, path: Path, document: Document) -> bytes | None:
        """Return the cached image. Raises UnreadableDocument if drawing it has failed."""
        until, kind, message = self._failures.get(path, (0.0, UnreadableDocument, ""))
        if time.monotonic() < until:
            raise kind(message, document=document.id)
        return _read_cached(path)

    def _draw(self, path: Path, document: Document, number: int, scale: int) -> bytes:
        data = self.blobs.get(document.tenant, document.readable)
        try:
            image = self.reader.render(data, number, scale=_PIXELS_PER_POINT * scale)
        except UnreadableDocument as error:
            what = error.message[:1].upper() + error.message[1:]
            message = f"{what}. Download the original to see page {number}."
            if len(self._failures) >= _MOST_FAILURES:
                self._failures.clear()
            until = time.monotonic() + _FAILURE_SECONDS
            self._failures[path] = until, type(error), message
            raise type(error)(message, document=document.id) from error
        self._store(path, image)
        return image

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
