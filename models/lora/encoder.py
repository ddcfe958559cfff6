"""The BERT encoder with LoRA on every linear layer, for training on a processor.

The arithmetic is that of `transformers.BertModel` (without pooler) and of `peft` LoRA; tests
compare both. Differences: query, key and value are one multiplication, the base weights are frozen
buffers without a gradient, and there is no padding mask, since all windows have the same length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = 12
NORM_EPSILON = 1e-12


@dataclass(frozen=True)
class Shape:
    """The sizes of an encoder, read from its weights."""

    layers: int
    width: int
    inner: int
    heads: int = HEADS


def shape_of(weights: dict[str, Tensor]) -> Shape:
    """Read the sizes of a BERT encoder from its weights (names as in transformers)."""
    inner, width = weights["encoder.layer.0.intermediate.dense.weight"].shape
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder."))
    return Shape(layers, width, inner)


class LoraLinear(nn.Module):
    """x -> W x + b + B (A x): a frozen linear map [n, k] and a trained one of low rank.

    Several maps of one input may be stacked: `parts` of them share the multiplication by W. Each
    has its own A [rank, k] and B [n / parts, rank].
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, rank: int, parts: int = 1) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.rank = rank
        bound = columns**-0.5
        self.a = nn.Parameter(torch.empty(parts, rank, columns).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(parts, rows // parts, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Map x [N, k] to [N, n], in the number type of x."""
        y: Tensor = _Merged.apply(x, self.a, self.b, self.weight, self.bias)
        return y


class _Merged(torch.autograd.Function):
    """The arithmetic of `LoraLinear`, with both maps added before the multiplication.

    Plain autograd multiplies twice and adds two gradients of the size of x. That takes a third
    longer, because memory traffic dominates.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        merged = weight + torch.bmm(b, a).flatten(0, 1).to(x.dtype)
        ctx.save_for_backward(x, a, b, merged)
        return F.linear(x, merged, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, a, b, merged = ctx.saved_tensors
        low = a.flatten(0, 1).to(x.dtype)  # [parts * rank, k]
        high = torch.block_diag(*b).to(x.dtype)  # [n, parts * rank]
        of_a = (dy @ high).t() @ x
        of_b = dy.t() @ (x @ low.t())
        parts, rows, rank = b.shape
        own = of_b.view(parts, rows, parts, rank).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        return dy @ merged, of_a.view_as(a).to(a.dtype), own.to(b.dtype), None, None


class Dropout:
    """Dropout (Srivastava et al., 2014): zeroes a share of the values and scales the others.

    Random numbers are slow on a processor. So one long mask is drawn, and each call uses a part of
    it that starts at a random place.
    """

    SPARE = 1 << 20  # possible starts in the mask

    def __init__(self, share: float, values: int, dtype: torch.dtype) -> None:
        """Draw the mask, for calls with at most this many values."""
        selected = torch.rand(values + self.SPARE) >= share
        self._mask = selected.to(dtype) / (1 - share)

    def __call__(self, x: Tensor) -> Tensor:
        """Drop values of x, of any shape."""
        start = int(torch.randint(self.SPARE, ()))
        return x * self._mask[start : start + x.numel()].view_as(x)


class _Attention(torch.autograd.Function):
    """Attention within each window, with a derivative that copies less than autograd's.

    Window by window the scores stay in the cache. This is a fifth faster than all windows at once,
    and in bf16 twice as fast as torch's fused attention on a processor.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, windows: int, heads: int) -> Tensor:
        split = qkv.view(windows, -1, 3, heads, qkv.shape[1] // (3 * heads))
        q, k, v = split.permute(2, 0, 3, 1, 4).contiguous()  # each [windows, heads, length, ..]
        q *= q.shape[-1] ** -0.5
        shares = [torch.bmm(a, b.mT).softmax(-1) for a, b in zip(q, k, strict=True)]
        result = torch.empty_like(q)
        for share, c, out in zip(shares, v, result, strict=True):
            torch.bmm(share, c, out=out)
        ctx.save_for_backward(q, k, v, *shares)
        return result.transpose(1, 2).reshape(len(qkv), -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        q, k, v, *shares = ctx.saved_tensors
        windows, heads, length, part = q.shape
        above = gradient.view(windows, length, heads, part).transpose(1, 2).contiguous()
        below = q.new_empty(3, *q.shape)
        for i, share in enumerate(shares):
            of_score = torch._softmax_backward_data(
                torch.bmm(above[i], v[i].mT), share, -1, share.dtype
            )
            torch.bmm(of_score, k[i], out=below[0, i])
            torch.bmm(of_score.mT, q[i], out=below[1, i])
            torch.bmm(share.mT, above[i], out=below[2, i])
        below[0] *= part**-0.5
        return below.permute(1, 3, 0, 2, 4).reshape(windows * length, -1), None, None


def attention(qkv: Tensor, windows: int, heads: int) -> Tensor:
    """Attend within each window: [windows * length, 3 * width] to [windows * length, width]."""
    attended: Tensor = _Attention.apply(qkv, windows, heads)
    return attended


class Layer(nn.Module):
    """One transformer block of BERT: attention, then a two-layer network, with norms after both."""

    def __init__(self, weights: dict[str, Tensor], shape: Shape, rank: int) -> None:
        super().__init__()
        self.shape = shape

        def stacked(*names: str) -> tuple[Tensor, Tensor]:
            return (
                torch.cat([weights[f"{name}.weight"] for name in names]),
                torch.cat([weights[f"{name}.bias"] for name in names]),
            )

        names = [f"attention.self.{part}" for part in ("query", "key", "value")]
        self.qkv = LoraLinear(*stacked(*names), rank, parts=3)
        self.attention_out = LoraLinear(*stacked("attention.output.dense"), rank)
        self.inner = LoraLinear(*stacked("intermediate.dense"), rank)
        self.outer = LoraLinear(*stacked("output.dense"), rank)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            for kind in ("weight", "bias"):
                buffer = "first_" if name.startswith("attention") else "second_"
                self.register_buffer(buffer + kind, weights[f"{name}.{kind}"], persistent=False)

    def forward(self, x: Tensor, windows: int, drop: Dropout | None = None) -> Tensor:
        """Map x [windows * length, width] to the same shape; `drop` acts where BERT's own does."""
        attended = attention(self.qkv(x), windows, self.shape.heads)
        y = self.attention_out(attended)
        x = self._norm(x + (drop(y) if drop else y), "first_")
        y = self.outer(F.gelu(self.inner(x)))
        return self._norm(x + (drop(y) if drop else y), "second_")

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = getattr(self, name + "weight"), getattr(self, name + "bias")
        return F.layer_norm(x, (self.shape.width,), weight, bias, NORM_EPSILON)


class Tagger(nn.Module):
    """BERT with LoRA, and one linear head that gives every token one logit a label."""

    def __init__(self, weights: dict[str, Tensor], rank: int, labels: int) -> None:
        super().__init__()
        self.shape = shape_of(weights)
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            self.register_buffer(name, weights[f"embeddings.{name}.weight"], persistent=False)
        for kind in ("weight", "bias"):
            buffer = weights[f"embeddings.LayerNorm.{kind}"]
            self.register_buffer(f"norm_{kind}", buffer, persistent=False)

        def weights_of(number: int) -> dict[str, Tensor]:
            prefix = f"encoder.layer.{number}."
            named = weights.items()
            return {n.removeprefix(prefix): value for n, value in named if n.startswith(prefix)}

        self.layers = nn.ModuleList(
            Layer(weights_of(number), self.shape, rank) for number in range(self.shape.layers)
        )
        self.head = nn.Linear(self.shape.width, labels)

    def hidden(self, ids: Tensor, drop: Dropout | None = None) -> Tensor:
        """Map token ids [windows, length] to the last hidden states [windows * length, width]."""
        windows, length = ids.shape
        x = F.embedding(ids, self.word_embeddings)
        x = x + (self.position_embeddings[:length] + self.token_type_embeddings[0])
        x = F.layer_norm(x, (self.shape.width,), self.norm_weight, self.norm_bias, NORM_EPSILON)
        x = x.view(windows * length, -1)
        if drop:
            x = drop(x)
        for layer in self.layers:
            x = layer(x, windows, drop)
        return x

    def forward(self, ids: Tensor, drop: Dropout | None = None) -> Tensor:
        """Map token ids [windows, length] to logits [windows, length, labels] in fp32."""
        logits: Tensor = self.head(self.hidden(ids, drop).float())
        return logits.view(*ids.shape, -1)
