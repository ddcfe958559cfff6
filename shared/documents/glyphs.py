"""The characters of one page, as an engine found them: what the layout works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.documents.reading import Floats

Codes = npt.NDArray[np.uint32]
Turns = npt.NDArray[np.uint8]

HYPHEN_AT_LINE_END = 2
"""The code of a hyphen after which the engine found the word to go on in the next line."""
SKEWED = 4
"""The turn of a character that is written neither along nor across the page."""


@dataclass(frozen=True)
class Glyphs:
    """Characters in the order of the page's content.

    `codes` uint32 [n]: Unicode code points; 10 marks a break that the engine saw, 2 a hyphen at a
    line end. `boxes` float32 [n, 4] in points, origin top left of the page as displayed, NaN for
    what the engine put in. `turns` uint8 [n]: quarter turns clockwise of the writing direction as
    displayed, 4 for a slanted one. `width` and `height` of the page as displayed, in points.
    """

    codes: Codes
    boxes: Floats
    turns: Turns
    width: float
    height: float
    rotation: int = 0
    has_images: bool = False
    picture: float = 0.0
    """The share of the page that its largest picture covers, looked up if there is little text."""

    @property
    def on_the_page(self) -> float:
        """The share of the characters with a box that lie on the page, 1 if there is none."""
        boxes = self.boxes[~np.isnan(self.boxes[:, 0])]
        if not len(boxes):
            return 1.0
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        return float(((x >= 0) & (x <= self.width) & (y >= 0) & (y <= self.height)).mean())
