"""Sessions of the base in both arithmetics, forests and adapters. Imports onnxruntime for all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.inference.errors import AdapterError, BaseError

# Official builds of onnxruntime send telemetry, from the import on and
# at exit (its Privacy.md). Only this variable, set before the import, prevents it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

Floats = NDArray[np.float32]
Array = NDArray[Any]

onnxruntime.disable_telemetry_events()  # for builds on Windows
onnxruntime.set_default_logger_severity(3)  # errors only: warnings are about unused optimisations


MANY_ROWS = 512
"""Least rows for which a forest uses several threads."""

PRODUCT = bytes.fromhex(
    "080a3a5c0a180a01610a0162120179220d4d61744d756c496e74656765721201675a130a0161120e0a0c0802"
    "12080a0208010a0208085a130a0162120e0a0c080312080a0208080a02080162130a0179120e0a0c08061208"
    "0a0208010a02080142040a001015"
)
"""An ONNX graph with one operator: y [1, 1] = MatMulInteger(a u8 [1, 8], b s8 [8, 1])."""


@cache
def overflows() -> bool:
    """Whether products of u8 and s8 overflow on this processor, tested by multiplying.

    Processors without VNNI add pairs of them in 16 bits: 255 * 127 * 2 doesn't fit.
    """
    session = _session(PRODUCT, _options(threads=1))
    a, b = np.full((1, 8), 255, np.uint8), np.full((8, 1), 127, np.int8)
    (product,) = session.run(None, {"a": a, "b": b})
    return int(product[0, 0]) != 8 * 255 * 127


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(
    graph: str | bytes, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class Session:
    """The INT4 base in memory. Safe to run from several threads."""

    def __init__(self, graph: Path, threads: int) -> None:
        """Load the graph for at most `threads` threads a call. Raises BaseError."""
        try:
            self._session = _session(str(graph), _options(threads))
        except Exception as error:
            raise BaseError(
                f"{graph} can't be loaded as the base model ({error}); restore it from the release"
            ) from error
        self.adapter_inputs: dict[str, tuple[int | str, ...]] = {
            item.name: tuple(item.shape) for item in self._session.get_overridable_initializers()
        }
        """Inputs for an adapter, with shapes; symbolic sizes are names."""

    def run(
        self, outputs: list[str], ids: NDArray[np.int64], adapter: Adapter | None = None
    ) -> list[Floats]:
        """Run windows of token ids [windows, length]; return the named outputs.

        Without an adapter there are no labels, and only `hidden` is meaningful.
        """
        options = onnxruntime.RunOptions()
        if adapter:
            options.add_active_adapter(adapter.handle)
        results: list[Floats] = self._session.run(outputs, {"ids": ids}, options)
        return results


class IntegerSession:
    """A graph without weights, and the weights. Safe to run from several threads."""

    def __init__(
        self,
        graph: Path,
        weights: Mapping[str, Array],
        inputs: Mapping[str, Floats],
        pool: Executor,
    ) -> None:
        """Load the graph with these weights.

        Args:
            graph: takes `ids` of one window [1, length].
            weights: by name, for every open constant of the graph.
            inputs: further inputs of every run.
            pool: runs several windows at once with one thread each: faster than one window with
                several threads, and results don't depend on the number of threads.

        Raises:
            BaseError: graph and weights don't match.
        """
        options = _options(threads=1)
        if overflows():  # slower u8 * u8, with the same sums everywhere
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._weights = dict(weights)  # onnxruntime does not copy them
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(v) for v in self._weights.values()]
        try:
            options.add_external_initializers(list(self._weights), values)
            self._session = _session(str(graph), options)
        except Exception as error:
            raise BaseError(
                f"{graph} can't be loaded as the base model ({error}); restore it from the release"
            ) from error
        self._inputs = dict(inputs)
        self._pool = pool

    def run(self, outputs: list[str], ids: NDArray[np.int64]) -> list[Floats]:
        """Run windows of token ids [windows, length]; return the named outputs."""

        def run_window(window: NDArray[np.int64]) -> list[Floats]:
            results: list[Floats] = self._session.run(
                outputs, {"ids": window[None], **self._inputs}
            )
            return results

        windows = list(self._pool.map(run_window, ids))
        return [np.concatenate(values) for values in zip(*windows, strict=True)]


class Forest:
    """Decision trees in memory. Safe to run from several threads."""

    def __init__(self, graph: Path, pool: Executor | None = None, parts: int = 1) -> None:
        """Load a graph from `rows` [N, columns] to one number a row [N].

        Args:
            graph: the file.
            pool: runs parts of many rows, each with one thread; results don't depend on it.
            parts: number of parts.

        Raises:
            AdapterError: the file is not such a graph.
        """
        try:
            self._session = _session(str(graph), _options(threads=1))
            (rows,), (self._output,) = self._session.get_inputs(), self._session.get_outputs()
        except Exception as error:
            raise AdapterError(
                f"{graph} can't be loaded as a ranking ({error}); export the adapter again"
            ) from error
        self.columns = int(rows.shape[1])
        self._input = rows.name
        self._pool, self._parts = pool, parts

    def __call__(self, rows: Floats) -> Floats:
        """Return the number of each row [N] of [N, columns]."""
        if self._pool is None or len(rows) < MANY_ROWS:
            return self._numbers(rows)
        parts = self._pool.map(self._numbers, np.array_split(rows, self._parts))
        return np.concatenate(list(parts))

    def _numbers(self, rows: Floats) -> Floats:
        (numbers,) = self._session.run([self._output.name], {self._input: rows})
        result: Floats = numbers
        return result


class Adapter:
    """One adapter file in memory."""

    def __init__(self, path: Path) -> None:
        """Load an adapter file. Raises AdapterError."""
        try:
            self.handle = onnxruntime.LoraAdapter()
            self.handle.Load(str(path))
            parameters = onnxruntime.AdapterFormat.read_adapter(str(path)).get_parameters()
        except Exception as error:
            raise AdapterError(
                f"{path} can't be loaded as an adapter ({error}); export it again"
            ) from error
        self._parameters = parameters
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(value.shape()) for name, value in parameters.items()
        }
        """Names and shapes of the parameters in the file."""

    def parameters(self) -> dict[str, Floats]:
        """Return the parameters in the file."""
        return {name: value.numpy() for name, value in self._parameters.items()}


def write_adapter(path: Path, parameters: dict[str, Floats], version: int) -> None:
    """Write parameters as an adapter file of onnxruntime."""
    adapter = onnxruntime.AdapterFormat()
    adapter.set_adapter_version(version)
    adapter.set_model_version(1)
    values = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
        for name, value in parameters.items()
    }
    adapter.set_parameters(values)
    adapter.export_adapter(str(path))
