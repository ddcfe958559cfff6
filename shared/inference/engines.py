"""The two arithmetics in which the base can run.

INT8 is the default. For each adapter it keeps one set of INT8 weights with the adapter in them,
which costs memory (about one byte a parameter of the encoder, twice) and a moment when the adapter
is first used; it is two to three times as fast. INT4 keeps the weights as they are on disk, once
for all adapters, and multiplies in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.inference.errors import BaseError
from shared.inference.integer import doors, fixed_weights, merged_weights
from shared.inference.session import Adapter, Floats, IntegerSession, Session
from shared.inference.weights import read_weights

Arithmetic = Literal["int8", "int4"]

GRAPH_FILE, INTEGER_FILE = "base.onnx", "int8.onnx"

Run = Callable[[list[str], NDArray[np.int64]], list[Floats]]
"""Takes names of outputs and windows of token ids [windows, length]; safe from several threads."""


class Engine(Protocol):
    """A base in memory, which can be made a specialist."""

    @property
    def doors(self) -> Mapping[str, tuple[int | str, ...]]:
        """What an adapter fills, with shapes; symbolic sizes are names."""

    def specialise(self, adapter: Adapter) -> Run:
        """Return the base with an adapter."""


class Int4:
    """The graph as it is on disk; the adapter is given with every call."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the base.

        Raises:
            BaseError: it can't be loaded.
        """
        self._session = Session(folder / GRAPH_FILE, threads)
        self.doors: Mapping[str, tuple[int | str, ...]] = self._session.doors

    def specialise(self, adapter: Adapter) -> Run:
        """See Engine."""
        return partial(self._session.run, adapter=adapter)


class Int8:
    """INT8 weights for each adapter, made from the INT4 ones when it is first used."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Read the weights of the base.

        Raises:
            BaseError: they can't be read.
        """
        self._graph = folder / INTEGER_FILE
        self._stored = read_weights(folder / GRAPH_FILE)
        try:
            self._fixed = fixed_weights(self._stored)
        except KeyError as error:
            raise BaseError(f"{folder / GRAPH_FILE} has no weights {error}") from error
        self._pool = ThreadPoolExecutor(threads, "inference")
        self.doors: Mapping[str, tuple[int | str, ...]] = doors(self._stored)

    def specialise(self, adapter: Adapter) -> Run:
        """See Engine."""
        parameters = adapter.parameters()
        weights = merged_weights(self._stored, parameters)
        # copied, because what the adapter returns is part of the adapter's own memory
        head = {name: parameters[name].copy() for name in ("head.weight", "head.bias")}
        return IntegerSession(self._graph, {**self._fixed, **weights}, head, self._pool).run


ENGINES: Mapping[Arithmetic, Callable[[Path, int], Engine]] = {"int8": Int8, "int4": Int4}
