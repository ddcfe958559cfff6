"""The two arithmetics of the base: INT8 (the default) and INT4.

INT8 keeps one set of weights for each adapter, merged with it. It needs about two bytes a parameter
of the encoder and a moment at first use, and is two to three times as fast. INT4 keeps the weights
as on disk, once for all adapters, and multiplies in fp32.
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
from shared.inference.integer import adapter_inputs, fixed_weights, merged_weights
from shared.inference.session import Adapter, Floats, IntegerSession, Session
from shared.inference.weights import read_weights

Arithmetic = Literal["int8", "int4"]

GRAPH_FILE, INTEGER_FILE = "base.onnx", "int8.onnx"

Run = Callable[[list[str], NDArray[np.int64]], list[Floats]]
"""Takes output names and windows of token ids [windows, length]; safe from several threads."""


class Engine(Protocol):
    """A base in memory that can run with adapters."""

    @property
    def adapter_inputs(self) -> Mapping[str, tuple[int | str, ...]]:
        """Inputs for an adapter, with shapes; symbolic sizes are names."""

    def specialise(self, adapter: Adapter) -> Run:
        """Return the base with an adapter."""


class Int4:
    """The graph as on disk; each call names its adapter."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the base. Raises BaseError."""
        self._session = Session(folder / GRAPH_FILE, threads)
        self.adapter_inputs: Mapping[str, tuple[int | str, ...]] = self._session.adapter_inputs

    def specialise(self, adapter: Adapter) -> Run:
        """See Engine."""
        return partial(self._session.run, adapter=adapter)


class Int8:
    """INT8 weights for each adapter, made from INT4 at first use."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Read the weights of the base. Raises BaseError."""
        self._graph = folder / INTEGER_FILE
        self._stored = read_weights(folder / GRAPH_FILE)
        try:
            self._fixed = fixed_weights(self._stored)
        except KeyError as error:
            raise BaseError(f"{folder / GRAPH_FILE} has no weights {error}") from error
        self._pool = ThreadPoolExecutor(threads, "inference")
        self.adapter_inputs: Mapping[str, tuple[int | str, ...]] = adapter_inputs(self._stored)

    def specialise(self, adapter: Adapter) -> Run:
        """See Engine."""
        parameters = adapter.parameters()
        weights = merged_weights(self._stored, parameters)
        # copied, because the values are part of the adapter's memory
        head = {name: parameters[name].copy() for name in ("head.weight", "head.bias")}
        return IntegerSession(self._graph, {**self._fixed, **weights}, head, self._pool).run


ENGINES: Mapping[Arithmetic, Callable[[Path, int], Engine]] = {"int8": Int8, "int4": Int4}
