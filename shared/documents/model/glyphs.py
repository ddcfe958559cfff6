"""The characters of one page, as an engine returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.documents.model.parsed_document import Floats

Codes = npt.NDArray[np.uint32]
Turns = npt.NDArray[np.uint8]

HYPHEN_AT_LINE_END = 2
"""Code of a hyphen at a line end that the engine considers part of a word."""
SKEWED = 4
"""The turn of slanted characters."""


@dataclass(frozen=True)
class Glyphs:
    """Characters in the order of the page's content.

    `codes` uint32 [n]: Unicode code points; 10 is a line break, 2 a hyphen at a line end. `boxes`
    float32 [n, 4]: points from the top left of the displayed page; NaN for characters that the
    engine added. `turns` uint8 [n]: clockwise quarter turns of the writing direction as displayed,
    4 if slanted. `width` and `height` of the displayed page, in points.
    """

    codes: Codes
    boxes: Floats
    turns: Turns
    width: float
    height: float
    rotation: int = 0
    has_images: bool = False
    picture: float = 0.0
    """Share of the page that its largest picture covers; measured only if there is little text."""

    @property
    def on_the_page(self) -> float:
        """The share of the characters with a box that are on the page; 1 if there are none."""
        boxes = self.boxes[~np.isnan(self.boxes[:, 0])]
        if not len(boxes):
            return 1.0
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        return float(((x >= 0) & (x <= self.width) & (y >= 0) & (y <= self.height)).mean())


def turned(box: Any, wide: float, high: float, quarters: int) -> tuple[Any, Any, Any, Any]:
    """Turn boxes with their page, clockwise by quarters.

    Args:
        box: x0, y0, x1, y1 from the top left: numbers, or arrays [n].
        wide: width of the page before it is turned, in the unit of the boxes.
        high: its height.
        quarters: number of quarter turns.
    """
    x0, y0, x1, y1 = box
    return (
        (x0, y0, x1, y1),
        (high - y1, x0, high - y0, x1),
        (wide - x1, high - y1, wide - x0, high - y0),
        (y0, wide - x1, y1, wide - x0),
    )[quarters % 4]
