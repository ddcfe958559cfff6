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
