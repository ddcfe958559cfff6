"""Recognise the text of one page at a time with the program `tesseract`.

The picture is prepared first: paper made white, ink black, noise removed, lines level. It goes in
as a gray bitmap on standard input, and words come out as tab-separated lines. No file is written
and no shell is used. The program runs on one thread, within the limits of the calling process and a
time limit.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from shared.documents.model.glyphs import Codes, Glyphs
from shared.documents.model.parsed_document import Floats

Gray = npt.NDArray[np.uint8]
"""A picture [height, width]: 0 is black, 255 white."""

METHOD = "tesseract"
DPI = 200
"""Dots per inch at which pages are drawn for recognition."""
NEEDS = "install tesseract (on Debian and Ubuntu: apt-get install tesseract-ocr) and try again"
"""What to do if the program is missing."""

_LANGUAGE = "eng"
_WORD_LEVEL = "5"
_SIDES = ("left", "top", "width", "height")
_SPACE, _BREAK = 32, 10
_UNSURE = 0.65
"""Below this confidence, the page may lie on its side or upside down."""
_MOST_SKEW = 5.0  # degrees
_LEAST_SKEW = 0.15
_SHARPER = 1.02  # gain in sharpness below which the page has no lines to level
_NOISE = 6.0  # median difference of paper dots to their neighbours, in gray levels
_TURN = re.compile(r"^Rotate: (\d+)$", re.MULTILINE)
_ENVIRONMENT = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "SYSTEMROOT")


class NotRecognised(Exception):
    """The program is missing, failed, or exceeded its time; the message says which."""


@dataclass(frozen=True)
class Level:
    """A picture with level lines: the displayed one turned counter-clockwise.

    First by `turns` quarter turns, then by `skew` degrees around the middle.
    """

    picture: Gray
    turns: int = 0
    skew: float = 0.0

    def displayed(self, boxes: Floats, dpi: float) -> Floats:
        """Map boxes in this picture to the displayed one, both in points."""
        wide, high = (side * 72 / dpi for side in self.picture.shape[::-1])
        corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]] - (wide / 2, high / 2)
        x, y = corners[..., 0], corners[..., 1]
        back = np.deg2rad(self.skew)
        x, y = x * np.cos(back) - y * np.sin(back), x * np.sin(back) + y * np.cos(back)
        for _ in range(self.turns):
            x, y, wide, high = -y, x, high, wide
        x, y = x + wide / 2, y + high / 2
        sides = (x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1))
        return np.stack(sides, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Recognised:
    """The words of one page as glyphs of the levelled picture.

    Each character has its share of the box of its word. `confidence` is from 0 to 1. `width` and
    `height` are those of the displayed page, in points.
    """

    glyphs: Glyphs
    confidence: float
    level: Level
    dpi: float
    width: float
    height: float

    def displayed(self, boxes: Floats) -> Floats:
        """Map boxes of the glyphs to the displayed page."""
        if not self.level.turns and not self.level.skew:
            return boxes
        return self.level.displayed(boxes, self.dpi)


class Word(NamedTuple):
    """A word in its line, with its rectangle in dots; `confidence` 0 to 100."""

    line: tuple[str, ...]
    left: float
    top: float
    width: float
    height: float
    confidence: float
    text: str


class _Clock(NamedTuple):
    """The deadline of a page, and the seconds it had."""

    until: float
    seconds: float


def engine() -> str | None:
    """Return the path of the program; None if it is not installed."""
    return shutil.which(METHOD)


def recognise(
    picture: Gray, *, dpi: float, seconds: float, rotation: int = 0, prepare: bool = True
) -> Recognised:
    """Recognise the text of a picture of a displayed page.

    A picture with little recognised text is tried again in the direction of its letters.

    Args:
        picture: uint8 [height, width].
        dpi: dots per inch at which it was drawn.
        seconds: time limit.
        rotation: declared by the page, in degrees.
        prepare: whether to clean and level it first.

    Raises:
        NotRecognised: the program is missing, failed, or exceeded its time.
    """
    program = engine()
    if program is None:
        raise NotRecognised(f"the page is an image without a text layer: {NEEDS}")
    clock = _Clock(time.monotonic() + seconds, seconds)
    if not prepare:
        return _recognised(program, Level(picture), picture, dpi, clock, rotation)
    clean = cleaned(picture)
    first = _recognised(program, level(clean), picture, dpi, clock, rotation)
    if first.confidence >= _UNSURE:
        return first
    turns = _turns(program, clean, dpi, clock)
    if not turns:
        return first
    second = _recognised(program, level(clean, turns), picture, dpi, clock, rotation)
    return max(second, first, key=lambda attempt: attempt.confidence)


def cleaned(picture: Gray) -> Gray:
    """Return the picture with white paper and black ink, without noise.

    Paper is the lightest colour nearby, so shadows disappear too.
    """
    image = Image.fromarray(picture)
    if _noise(picture) > _NOISE:
        image = image.filter(ImageFilter.MedianFilter(3))
    small = image.resize([max(1, side // 8) for side in image.size], Image.Resampling.BOX)
    paper = small.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(8))
    light = np.asarray(paper.resize(image.size, Image.Resampling.BILINEAR), np.float32)
    share = np.asarray(image, np.float32) / np.maximum(light, 1)
    ink = float(np.quantile(share[::4, ::4], 0.005))
    if ink > 0.9:  # an empty page
        return np.asarray(image)
    return np.clip((share - ink) * (255 / (0.97 - ink)), 0, 255).astype(np.uint8)


def level(picture: Gray, turns: int = 0) -> Level:
    """Return the picture with level lines, after quarter turns counter-clockwise."""
    picture = np.ascontiguousarray(np.rot90(picture, turns))
    skew = skew_of(picture)
    if abs(skew) < _LEAST_SKEW:
        return Level(picture, turns)
    turned = Image.fromarray(picture).rotate(skew, Image.Resampling.BICUBIC, fillcolor=255)
    return Level(np.asarray(turned), turns, skew)


def skew_of(picture: Gray) -> float:
    """Return the degrees by which to turn the picture counter-clockwise for level lines.

    At this angle ink falls into the fewest rows; at most 5 degrees to either side.
    """
    factor = max(1, picture.shape[0] // 1_000)
    small = np.asarray(Image.fromarray(picture).reduce(factor))
    y, x = np.nonzero(small < 128)
    if len(y) < 100:
        return 0.0
    if len(y) > 60_000:
        chosen = np.random.default_rng(0).choice(len(y), 60_000, replace=False)
        y, x = y[chosen], x[chosen]

    def sharpness(angle: float) -> tuple[float, float]:
        rows = np.round(y - x * np.tan(np.deg2rad(angle))).astype(np.int64)
        full = np.bincount(rows - rows.min()).astype(np.float64)
        return float((full**2).sum()), -abs(angle)

    rough = max(np.arange(-_MOST_SKEW, _MOST_SKEW + 0.1, 0.5).tolist(), key=sharpness)
    best = max(np.arange(rough - 0.45, rough + 0.5, 0.05).tolist(), key=sharpness)
    return best if sharpness(best)[0] > _SHARPER * sharpness(0)[0] else 0.0


def _noise(picture: Gray) -> float:
    """Return how much dots differ from their neighbours where the page is empty."""
    rows = picture[::8].astype(np.int16)
    return float(np.quantile(np.abs(rows[:, 1:-1] * 2 - rows[:, :-2] - rows[:, 2:]) / 2, 0.5))


def _recognised(
    program: str, straight: Level, displayed: Gray, dpi: float, clock: _Clock, rotation: int
) -> Recognised:
    table = _run(program, straight.picture, dpi, clock, ["--psm", "3"], "tsv")
    try:
        words = list(_words(table))
    except (KeyError, TypeError, ValueError) as error:
        raise NotRecognised(f"tesseract's output has an unexpected format: {error}") from error
    height, width = (side * 72 / dpi for side in displayed.shape)
    glyphs = glyphs_of(words, straight.picture, dpi, rotation)
    return Recognised(glyphs, _confidence(words), straight, dpi, width, height)


def _turns(program: str, picture: Gray, dpi: float, clock: _Clock) -> int:
    """Return the quarter turns counter-clockwise that make letters upright; 0 if unclear."""
    try:
        output = _run(program, picture, dpi, clock, ["--psm", "0"], "osd")
    except NotRecognised:  # too few letters, or no language data
        return 0
    match = _TURN.search(output)
    return (360 - int(match[1])) // 90 % 4 if match else 0


def glyphs_of(words: list[Word], picture: Gray, dpi: float, rotation: int = 0) -> Glyphs:
    """Convert recognised words of a picture to the characters of its page."""
    codes, boxes = _placed(words, 72 / dpi)
    height, width = picture.shape
    return Glyphs(
        codes=codes,
        boxes=boxes,
        turns=np.zeros(len(codes), np.uint8),
        width=width * 72 / dpi,
        height=height * 72 / dpi,
        rotation=rotation,
    )


def _run(program: str, picture: Gray, dpi: float, clock: _Clock, mode: list[str], form: str) -> str:
    command = [program, "stdin", "stdout", "--dpi", f"{dpi:.0f}", *mode]
    if form == "tsv":
        command += ["-l", _LANGUAGE, "-c", "tessedit_create_tsv=1"]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            command,
            input=_pgm(picture),
            capture_output=True,
            timeout=max(0.1, clock.until - time.monotonic()),
            env=environment | {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise NotRecognised(f"recognising the page took longer than {clock.seconds:g} s") from error
    except OSError as error:
        raise NotRecognised(f"tesseract does not start ({error.strerror}): {NEEDS}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        how = lines[-1][:200] if lines else f"status {done.returncode}"
        raise NotRecognised(f"tesseract failed on the page: {how}")
    return done.stdout.decode("utf-8", "replace")


def _pgm(picture: Gray) -> bytes:
    height, width = picture.shape
    return b"P5 %d %d 255\n" % (width, height) + np.ascontiguousarray(picture).tobytes()


def _words(table: str) -> Iterator[Word]:
    rows = csv.DictReader(table.split("\n"), delimiter="\t", quoting=csv.QUOTE_NONE)
    for row in rows:
        text = (row["text"] or "").strip()
        if row["level"] == _WORD_LEVEL and text:
            line = (row["block_num"], row["par_num"], row["line_num"])
            left, top, width, height = (float(row[name]) for name in _SIDES)
            yield Word(line, left, top, width, height, float(row["conf"]), text)


def _placed(words: list[Word], scale: float) -> tuple[Codes, Floats]:
    """Return characters and boxes in points, with a space between words and a break between
    lines.
    """
    codes: list[int] = []
    boxes: list[tuple[float, ...]] = []
    nowhere = (np.nan,) * 4
    before: Word | None = None
    for word in words:
        if before is not None:
            codes.append(_SPACE if word.line == before.line else _BREAK)
            boxes.append(nowhere)
        step = word.width / len(word.text)
        for index, character in enumerate(word.text):
            codes.append(ord(character))
            left = word.left + index * step
            boxes.append((left, word.top, left + step, word.top + word.height))
        before = word
    placed = np.array(boxes, np.float32).reshape(-1, 4) * np.float32(scale)
    return np.array(codes, np.uint32), placed


def _confidence(words: list[Word]) -> float:
    """Return the mean confidence of the words, weighted by their characters; 0 without words."""
    characters = sum(len(word.text) for word in words)
    if not characters:
        return 0.0
    total = sum(max(0.0, word.confidence) * len(word.text) for word in words)
    return round(total / characters / 100, 4)
