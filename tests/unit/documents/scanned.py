"""Pages as a scanner or a telephone would give them, drawn from text."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.documents import Limits

WORDS = (
    "This lease is made between the parties",
    "named below. It begins on the first day",
    "of March and may be ended by either party",
    "with a notice of ninety days in writing.",
    "It is governed by the law of Delaware.",
)
PATIENT = Limits(seconds=600, page_seconds=600)
"""For machines that are busy with other things."""


def picture(*lines: str, dpi: int = 150) -> Image.Image:
    """A small page with these lines, 6 x 4 inches."""
    image = Image.new("L", (6 * dpi, 4 * dpi), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=dpi * 16 / 72)
    for number, line in enumerate(lines or WORDS):
        draw.text((dpi // 2, dpi // 2 + number * dpi * 26 // 72), line, fill=0, font=font)
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def pdf_of(*images: Image.Image, dpi: int = 150) -> bytes:
    return saved(images[0], "PDF", save_all=True, append_images=images[1:], resolution=dpi)


def spoiled(image: Image.Image) -> Image.Image:
    """Return a slightly turned, gray, unevenly lit and noisy copy."""
    turned = np.asarray(image.rotate(1.5, Image.Resampling.BICUBIC, fillcolor=255), np.float32)
    light = np.linspace(150, 230, turned.shape[1])
    noise = np.random.default_rng(3).normal(0, 12, turned.shape)
    return Image.fromarray(np.clip(light - (255 - turned) * 0.5 + noise, 0, 255).astype(np.uint8))
