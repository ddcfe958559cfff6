"""Build the ONNX graph of the base: INT4 weights, and inputs for an adapter.

Every linear layer computes W x + b + B (A x). W is fixed and has 4 bits. A, B and the task head are
graph inputs whose default is empty (rank 0, no labels). So the graph alone is the encoder, and an
adapter file that fills the inputs makes it a specialist.

    ids [windows, length] -> logits [windows, length, labels], hidden [windows, length, width]

Operators of the domain com.microsoft are described in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.base.quantise import BLOCK, Floats, Quantised

HEADS = 12
NORM_EPSILON = 1e-12
OPSET, CONTRIB = 21, "com.microsoft"
ACCURACY = 1
"""Level of MatMulNBits: 1 multiplies in fp32, 4 in INT8 (12% faster; states are 3% off)."""

Weights = Mapping[str, Floats | Quantised]


class GraphBuilder:
    """Collects nodes, initialisers and adapter inputs under readable names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.adapter_inputs: list[onnx.ValueInfoProto] = []

    def model(
        self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initialisers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=10, producer_name="smallprint"
        )

    def node(
        self, op: str, inputs: list[str], name: str, domain: str = "", **attributes: object
    ) -> str:
        """Add a node with one output of the same name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name, domain=domain, **attributes))
        return name

    def split(self, value: str, names: list[str]) -> list[str]:
        """Split a value into equal parts along its last axis."""
        self.nodes.append(
            helper.make_node(
                "Split", [value], names, f"{names[0]}.split", axis=-1, num_outputs=len(names)
            )
        )
        return names

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def packed(self, name: str, codes: NDArray[np.uint8]) -> str:
        """Add a constant of 4-bit codes as a UINT4 tensor of the same shape."""
        tensor = helper.make_tensor(
            name, TensorProto.UINT4, codes.shape, nibbles(codes).tobytes(), raw=True
        )
        self.initialisers.append(tensor)
        return name

    def scales(self, name: str, scales: NDArray[np.float16]) -> str:
        """Add scales, kept in 16 bits and widened once when the graph is loaded."""
        return self.node(
            "Cast", [self.constant(f"{name}.half", scales)], name, to=TensorProto.FLOAT
        )

    def adapter_input(self, name: str, shape: list[int | str]) -> str:
        """Add an input that an adapter fills; its default has size zero along symbolic axes."""
        self.adapter_inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return self.constant(
            name, np.zeros([0 if isinstance(n, str) else n for n in shape], np.float32)
        )

    def linear(self, x: str, name: str, weight: Quantised, bias: Floats) -> str:
        """Add y = W x + b of a quantised weight [n, k]."""
        rows, columns = weight.codes.shape
        blocks = columns // BLOCK
        return self.node(
            "MatMulNBits",
            [
                x,
                self.constant(
                    f"{name}.codes", nibbles(weight.codes).reshape(rows, blocks, BLOCK // 2)
                ),
                self.scales(f"{name}.scales", weight.scales),
                self.constant(f"{name}.zero_points", nibbles(weight.zero_points)),
                "",
                self.constant(f"{name}.bias", bias),
            ],
            f"{name}.base",
            CONTRIB,
            K=columns,
            N=rows,
            bits=4,
            block_size=BLOCK,
            accuracy_level=ACCURACY,
        )

    def low_rank(self, h: str, base: str, name: str, rows: int) -> str:
        """Add the low-rank output B h, for h = A x, to the base output of a layer."""
        b = self.adapter_input(f"{name}.B", ["rank", rows])
        return self.node("Add", [base, self.node("MatMul", [h, b], f"{name}.lora")], f"{name}.out")

    def lora_linear(self, x: str, name: str, weight: Quantised, bias: Floats) -> str:
        """Add y = W x + b + B (A x); an adapter fills A and B."""
        rows, columns = weight.codes.shape
        h = self.node(
            "MatMul", [x, self.adapter_input(f"{name}.A", [columns, "rank"])], f"{name}.down"
        )
        return self.low_rank(h, self.linear(x, name, weight, bias), name, rows)

    def norm(self, x: str, y: str, name: str, weights: Weights, source: str) -> str:
        """Add the layer norm of x + y."""
        return self.node(
            "SkipLayerNormalization",
            [
                x,
                y,
                self.constant(f"{name}.weight", plain(weights, f"{source}.weight")),
                self.constant(f"{name}.bias", plain(weights, f"{source}.bias")),
            ],
            name,
            CONTRIB,
            epsilon=NORM_EPSILON,
        )


def nibbles(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack 4-bit codes [..., 2 n] two to a byte [..., n], the first in the low half."""
    packed: NDArray[np.uint8] = codes[..., 0::2] | np.left_shift(codes[..., 1::2], np.uint8(4))
    return packed


def plain(weights: Weights, name: str) -> Floats:
    """Return a weight that is not quantised."""
    value = weights[name]
    assert not isinstance(value, Quantised), name
    return value


def coded(weights: Weights, name: str) -> Quantised:
    """Return a weight that is quantised."""
    value = weights[name]
    assert isinstance(value, Quantised), name
    return value


def stacked(parts: list[Quantised]) -> Quantised:
    """Stack quantised matrices that take the same input, along their output dimension."""
    return Quantised(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.zero_points for part in parts]),
    )


def embeddings(graph: GraphBuilder, weights: Weights) -> str:
    """Add the sum of word, position and type embeddings, normed: [windows, length, width]."""
    words = coded(weights, "embeddings.word_embeddings.weight")
    word = graph.node(
        "GatherBlockQuantized",
        [
            graph.packed("words.codes", words.codes),
            "ids",
            graph.scales("words.scales", words.scales),
            graph.packed("words.zero_points", words.zero_points),
        ],
        "words",
        CONTRIB,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )
    kind = plain(weights, "embeddings.token_type_embeddings.weight")[0]
    positions = plain(weights, "embeddings.position_embeddings.weight") + kind
    length = graph.node("Shape", ["ids"], "length", start=1, end=2)
    zero, axis = graph.constant("zero", np.array([0])), graph.constant("axis", np.array([0]))
    position = graph.node(
        "Slice", [graph.constant("positions.all", positions), zero, length, axis], "positions"
    )
    return graph.node(
        "LayerNormalization",
        [
            graph.node("Add", [word, position], "embeddings.sum"),
            graph.constant("embeddings.norm.weight", plain(weights, "embeddings.LayerNorm.weight")),
            graph.constant("embeddings.norm.bias", plain(weights, "embeddings.LayerNorm.bias")),
        ],
        "embeddings.norm",
        axis=-1,
        epsilon=NORM_EPSILON,
    )


def layer(graph: GraphBuilder, x: str, number: int, weights: Weights) -> str:
    """Add one transformer block of BERT."""
    source, name = f"encoder.layer.{number}", f"layers.{number}"

    def linear(x: str, part: str, path: str) -> str:
        weight = coded(weights, f"{source}.{path}.weight")
        return graph.lora_linear(
            x, f"{name}.{part}", weight, plain(weights, f"{source}.{path}.bias")
        )

    parts = ["query", "key", "value"]
    sources = [f"{source}.attention.self.{part}" for part in parts]
    weight = stacked([coded(weights, f"{path}.weight") for path in sources])
    bias = np.concatenate([plain(weights, f"{path}.bias") for path in sources])
    width = weight.codes.shape[1]
    base = graph.linear(x, f"{name}.qkv", weight, bias)
    bases = graph.split(base, [f"{name}.{part}.base" for part in parts])
    down = [
        graph.node(
            "MatMul",
            [x, graph.adapter_input(f"{name}.{part}.A", [width, "rank"])],
            f"{name}.{part}.down",
        )
        for part in parts
    ]
    q, k, v = (
        graph.low_rank(h, y, f"{name}.{part}", width)
        for h, y, part in zip(down, bases, parts, strict=True)
    )
    attended = graph.node(
        "MultiHeadAttention", [q, k, v], f"{name}.attended", CONTRIB, num_heads=HEADS
    )
    y = linear(attended, "attention_out", "attention.output.dense")
    x = graph.norm(x, y, f"{name}.first", weights, f"{source}.attention.output.LayerNorm")
    inner = linear(x, "inner", "intermediate.dense")
    y = linear(graph.node("Gelu", [inner], f"{name}.gelu"), "outer", "output.dense")
    return graph.norm(x, y, f"{name}.second", weights, f"{source}.output.LayerNorm")


def build(weights: Weights) -> onnx.ModelProto:
    """Build the base from the weights of a BERT encoder (names as in `transformers`)."""
    graph = GraphBuilder()
    x = embeddings(graph, weights)
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder."))
    for number in range(layers):
        x = layer(graph, x, number, weights)
    hidden = graph.node("Identity", [x], "hidden")
    width = plain(weights, "embeddings.LayerNorm.weight").shape[0]
    scores = graph.node(
        "MatMul", [hidden, graph.adapter_input("head.weight", [width, "labels"])], "head.scores"
    )
    graph.node("Add", [scores, graph.adapter_input("head.bias", ["labels"])], "logits")

    def value(name: str, kind: int, last: list[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, ["windows", "length", *last])

    inputs = [value("ids", TensorProto.INT64, []), *graph.adapter_inputs]
    logits = value("logits", TensorProto.FLOAT, ["labels"])
    model = graph.model("base", inputs, [logits, value("hidden", TensorProto.FLOAT, [width])])
    onnx.checker.check_model(model)
    return model
