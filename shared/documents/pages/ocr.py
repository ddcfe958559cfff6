"""Recognise the text of one page at a time.

The picture is prepared first: paper made white, ink black, noise removed, lines level. Then the
engine of `tesseract.py` finds the words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from shared.documents.model.glyphs import Codes, Glyphs
from shared.documents.model.parsed_document import Floats
from shared.documents.pages.tesseract import Engine, Gray, Word

DPI = 200
"""Dots per inch at which pages are drawn for recognition."""

_SPACE, _BREAK = 32, 10
_UNSURE = 0.65
"""Below this confidence, the page may lie on its side or upside down."""
_MOST_SKEW = 5.0  # degrees
_LEAST_SKEW = 0.15
_SHARPER = 1.02  # gain in sharpness below which the page has no lines to level
_NOISE = 6.0  # median difference of paper dots to their neighbours, in gray levels


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


def recognise(
    engine: Engine,
    picture: Gray,
    *,
    dpi: float,
    until: float,
    rotation: int = 0,
    prepare: bool = True,
) -> Recognised:
    """Recognise the text of a picture of a displayed page.

    A picture with little recognised text is tried again in the direction of its letters.

    Args:
        engine: finds the words.
        picture: uint8 [height, width].
        dpi: dots per inch at which it was drawn.
        until: time limit, as `time.monotonic()`.
        rotation: declared by the page, in degrees.
        prepare: whether to clean and level it first.

    Raises:
        NotRecognised: the engine failed.
        TimeoutError: the time limit was reached.
    """

    def left() -> float:
        return max(0.1, until - time.monotonic())

    def recognised(straight: Level) -> Recognised:
        words = engine.words(straight.picture, dpi, left())
        height, width = (side * 72 / dpi for side in picture.shape)
        glyphs = glyphs_of(words, straight.picture, dpi, rotation)
        return Recognised(glyphs, _confidence(words), straight, dpi, width, height)

    if not prepare:
        return recognised(Level(picture))
    clean = cleaned(picture)
    first = recognised(level(clean))
    if first.confidence >= _UNSURE:
        return first
    turns = engine.turns(clean, dpi, left())
    if not turns:
        return first
    second = recognised(level(clean, turns))
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
