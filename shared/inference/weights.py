"""Read the weights of an ONNX file, without the package `onnx`.

An ONNX file is a protocol buffer: numbered fields, each a number or bytes with their length
(https://protobuf.dev/programming-guides/encoding). Only the fields of onnx.proto that lead to
weights are read: model 7 = graph, graph 5 = tensor, and of a tensor 1 = sizes, 2 = type, 8 = name,
9 = values.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.inference.errors import BaseError

Array = NDArray[Any]
Floats = NDArray[np.float32]

GRAPH, TENSOR = 7, 5
SIZES, TYPE, NAME, VALUES = 1, 2, 8, 9
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 7: np.int64, 10: np.float16}
UINT4 = 21
"""Two codes a byte: read as bytes, with the last axis half as long."""


def read_weights(path: Path) -> dict[str, Array]:
    """Return the weights by name, as views of one copy of the file.

    Raises BaseError if the file is not ONNX, or has weights of an unknown type.
    """
    try:
        data = memoryview(path.read_bytes())
        tensors = (
            _tensor(tensor)
            for number, graph in _fields(data)
            if number == GRAPH
            for kind, tensor in _fields(graph)
            if kind == TENSOR
        )
        return dict(tensors)
    except (OSError, IndexError, KeyError, TypeError, ValueError) as error:
        raise BaseError(
            f"{path} can't be read as the base model ({error!r}); restore it from the release"
        ) from error


def _tensor(data: memoryview) -> tuple[str, Array]:
    sizes: list[int] = []
    kind, name, values = 0, "", memoryview(b"")
    for number, value in _fields(data):
        if number == SIZES:
            sizes += [value] if isinstance(value, int) else _varints(value)
        elif number == TYPE:
            kind = value
        elif number == NAME:
            name = bytes(value).decode()
        elif number == VALUES:
            values = value
    if kind == UINT4:
        return name, np.frombuffer(values, np.uint8).reshape(*sizes[:-1], sizes[-1] // 2)
    return name, np.frombuffer(values, TYPES[kind], count=prod(sizes)).reshape(sizes)


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: (number, int or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(tag & 7)
        if length is None:
            if tag & 7 != BYTES:
                raise ValueError(f"no field at byte {at}")
            length, at = _varint(data, at)
        if at + length > len(data):
            raise ValueError(f"cut short at byte {at}")
        yield tag >> 3, data[at : at + length]
        at += length


def _varints(data: memoryview) -> list[int]:
    at, values = 0, []
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a position (seven bits a byte, lowest first), and the next position."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
