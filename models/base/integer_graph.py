"""Build the ONNX graph of the base in INT8 arithmetic, without weights.

`shared.inference.integer` widens the INT4 weights of `base.onnx`, adds an adapter, quantises the
sums to INT8 and gives them to the session:

    ids [1, length], head.weight [width, labels], head.bias [labels]
        -> logits [1, length, labels], hidden [1, length, width]

The graph runs one window at a time, so the scales never depend on the other windows of a batch.
Query, key, value and the attention's output have one scale a window. The two layers of the inner
network have outliers in their input and one scale a token. Sums and layer norms are separate,
because onnxruntime's SkipLayerNormalization takes six times as long on a processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from models.base.graph import CONTRIB, HEADS, NORM_EPSILON, GraphBuilder
from models.base.quantise import BLOCK
from shared.inference.weights import Array

GELU_LEAST = 0.1700  # GELU is never below minus this
GELU_ZERO = 32  # the code of zero after GELU: 32 codes below zero, 223 above

PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_out": "attention.output.dense",
    "inner": "intermediate.dense",
    "outer": "output.dense",
}
"""The linear maps of a layer: our names and those of `transformers`."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder."""

    words: int
    positions: int
    layers: int
    width: int
    inner: int

    def shape(self, part: str) -> tuple[int, int]:
        """Return [rows, columns] of a linear map of a layer."""
        shapes = {"inner": (self.inner, self.width), "outer": (self.width, self.inner)}
        return shapes.get(part, (self.width, self.width))


def sizes_of(stored: Mapping[str, Array]) -> Sizes:
    """Read the sizes of an encoder from the weights in its `base.onnx`."""
    words, half = stored["words.codes"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in stored if name.startswith("layers."))
    inner = stored["layers.0.inner.codes"].shape[0]
    return Sizes(words, stored["positions.all"].shape[0], layers, 2 * half, inner)


class IntegerBuilder(GraphBuilder):
    """Adds external weights and quantised activations to the builder."""

    def outside(self, name: str, shape: tuple[int, ...], kind: int = TensorProto.FLOAT) -> str:
        """Add a constant that gets its value when a session is made."""
        tensor = TensorProto(name=name, dims=shape, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="given at load")
        self.initialisers.append(tensor)
        return name

    def nodes_of(self, op: str, inputs: list[str], outputs: list[str]) -> list[str]:
        """Add a node with several outputs."""
        self.nodes.append(helper.make_node(op, inputs, outputs, outputs[0]))
        return outputs

    def by_window(self, x: str, name: str) -> tuple[str, str, str]:
        """Quantise x to 8 bits with one scale: (codes, scale, zero point)."""
        parts = [f"{name}.codes", f"{name}.scale", f"{name}.zero"]
        codes, scale, zero = self.nodes_of("DynamicQuantizeLinear", [x], parts)
        return codes, scale, zero

    def by_token(self, x: str, name: str, after_gelu: bool = False) -> tuple[str, str, str]:
        """Quantise x [1, length, k] to 8 bits with a scale a token: (codes, scales, zero point)."""
        zero = GELU_ZERO if after_gelu else 128
        steps, least = (255 - zero, GELU_LEAST / zero) if after_gelu else (127, 1e-6)
        size = x if after_gelu else self.node("Abs", [x], f"{name}.size")
        largest = self.node("ReduceMax", [size, "last"], f"{name}.largest", keepdims=0)
        row = self.node("Squeeze", [largest, "zero"], f"{name}.row")
        step = self.node(
            "Mul",
            [row, self.constant(f"{name}.step", np.array(1 / steps, np.float32))],
            f"{name}.steps",
        )
        floor = self.constant(f"{name}.least", np.array(least, np.float32))
        scales = self.node("Max", [step, floor], f"{name}.scales")
        point = self.constant(f"{name}.zero", np.array(zero, np.uint8))
        points = self.node("Expand", [point, "length"], f"{name}.zeros")
        codes = self.node("QuantizeLinear", [x, scales, points], f"{name}.codes", axis=1)
        return codes, self.node("Unsqueeze", [scales, "one"], f"{name}.column"), point

    def weight(self, name: str, shape: tuple[int, ...]) -> tuple[str, str]:
        """Add an INT8 matrix [columns, rows] and its scales [rows] as external constants."""
        rows, columns = shape
        codes = self.outside(f"{name}.codes", (columns, rows), TensorProto.INT8)
        return codes, self.outside(f"{name}.scales", (rows,))

    def multiply(
        self, quantised: tuple[str, str, str], name: str, shape: tuple[int, ...], by_token: bool
    ) -> str:
        """Add W x of quantised x, with its bias if one scale serves all tokens."""
        codes, scale, zero = quantised
        weight, scales = self.weight(name, shape)
        bias = self.outside(f"{name}.bias", (shape[0],))
        if not by_token:
            inputs = [codes, weight, scale, scales, zero, "", bias]
            return self.node("MatMulIntegerToFloat", inputs, f"{name}.out", CONTRIB)
        inputs = [codes, weight, "unit", scales, zero, ""]
        product = self.node("MatMulIntegerToFloat", inputs, f"{name}.product", CONTRIB)
        return self.node("Mul", [product, scale], f"{name}.scaled")

    def sum_norm(self, x: str, y: str, name: str, width: int) -> str:
        """Add the layer norm of x + y."""
        total = self.node("Add", [x, y], f"{name}.sum")
        weights = [self.outside(f"{name}.{kind}", (width,)) for kind in ("weight", "bias")]
        return self.node(
            "LayerNormalization", [total, *weights], name, axis=-1, epsilon=NORM_EPSILON
        )


def embeddings(graph: IntegerBuilder, sizes: Sizes) -> str:
    """Add the sum of word, position and type embeddings, normed: [1, length, width]."""
    blocks = sizes.width // BLOCK
    word = graph.node(
        "GatherBlockQuantized",
        [
            graph.outside("words.codes", (sizes.words, sizes.width // 2), TensorProto.UINT8),
            "ids",
            graph.outside("words.scales", (sizes.words, blocks)),
            graph.outside("words.zero_points", (sizes.words, blocks // 2), TensorProto.UINT8),
        ],
        "words",
        CONTRIB,
        bits=4,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )
    table = graph.outside("positions.all", (sizes.positions, sizes.width))
    position = graph.node("Slice", [table, "zero", "length", "zero"], "positions")
    return graph.sum_norm(word, position, "embeddings.norm", sizes.width)


def layer(graph: IntegerBuilder, x: str, number: int, sizes: Sizes) -> str:
    """Add one transformer block of BERT."""
    name = f"layers.{number}"

    def multiply(quantised: tuple[str, str, str], part: str, by_token: bool = False) -> str:
        return graph.multiply(quantised, f"{name}.{part}", sizes.shape(part), by_token)

    quantised = graph.by_window(x, f"{name}.input")
    q, k, v = (multiply(quantised, part) for part in ("query", "key", "value"))
    attended = graph.node(
        "MultiHeadAttention", [q, k, v], f"{name}.attended", CONTRIB, num_heads=HEADS
    )
    y = multiply(graph.by_window(attended, f"{name}.heads"), "attention_out")
    x = graph.sum_norm(x, y, f"{name}.first", sizes.width)
    inner = multiply(graph.by_token(x, f"{name}.middle"), "inner", by_token=True)
    gelu = graph.node("BiasGelu", [inner, f"{name}.inner.bias"], f"{name}.gelu", CONTRIB)
    outer = multiply(graph.by_token(gelu, f"{name}.deep", after_gelu=True), "outer", by_token=True)
    y = graph.node("Add", [outer, f"{name}.outer.bias"], f"{name}.outer.out")
    return graph.sum_norm(x, y, f"{name}.second", sizes.width)


def build_integer(sizes: Sizes) -> onnx.ModelProto:
    """Build the INT8 graph, without weights, of a BERT encoder."""
    graph = IntegerBuilder()
    graph.constant("zero", np.array([0]))
    graph.constant("one", np.array([1]))
    graph.constant("last", np.array([-1]))
    graph.constant("unit", np.array(1, np.float32))
    graph.node("Shape", ["ids"], "length", start=1, end=2)
    x = embeddings(graph, sizes)
    for number in range(sizes.layers):
        x = layer(graph, x, number, sizes)
    hidden = graph.node("Identity", [x], "hidden")
    scores = graph.node("MatMul", [hidden, "head.weight"], "scores")
    graph.node("Add", [scores, "head.bias"], "logits")
    width = sizes.width

    def value(
        name: str, shape: list[int | str], kind: int = TensorProto.FLOAT
    ) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    head = value("head.weight", [width, "labels"]), value("head.bias", ["labels"])
    outputs = [value("logits", [1, "length", "labels"]), value("hidden", [1, "length", width])]
    return graph.model(
        "base-int8", [value("ids", [1, "length"], TensorProto.INT64), *head], outputs
    )
