"""Experience: what does an adapter learn from accepted and rejected clauses alone?

It starts with the labels of a quarter of the contracts and shows its clauses in the others. The
only feedback is which of these match an answer. GRPO samples several extractions of a window and
learns from their ranks (Shao et al., 2024: DeepSeekMath; ranks instead of rewards as in RULER). A
sample draws one threshold for each category and extracts the tokens above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.evaluation.judging import judge
from models.lora.train import (
    Contract,
    Loss,
    Window,
    soft_loss,
    soft_targets,
    state_of,
    token_range,
)
from models.techniques.bench import START, UPDATE, Arm, Bench, Lesson

TITLE = "Experience"
SHOWN = 0.3  # least score of a clause that is shown
SAMPLES = 8  # extractions of a window
KL = 0.1  # weight of the distance to the start
LEARNERS = {
    "supervised": "supervised on the feedback",
    "supervised-near": "supervised, near the start",
    "grpo": "GRPO",
}


@dataclass(frozen=True)
class Feedback:
    """The clauses that the start shows, as spans of contracts, and the accepted ones.

    `accepted` has (place of the contract, label, first token, end). `soft_labels` has the
    probabilities of the start [tokens, outputs].
    """

    contracts: list[Contract]
    accepted: set[tuple[int, int, int, int]]
    soft_labels: NDArray[np.float16]

    def in_window(self, window: Window, content: int) -> Iterator[tuple[int, int, int, bool]]:
        """Yield label, first token, end and acceptance of the clauses in a window."""
        place, start = window.contract.place, window.start
        for label, first, end in window.contract.spans:
            if first < start + content and end > start:
                clipped = max(first - start, 0), min(end - start, content)
                yield label, *clipped, (place, label, first, end) in self.accepted


def arms(bench: Bench) -> list[Arm]:
    """Learn from the same feedback in several ways, for as many steps."""
    before, starts = bench.starts()
    reading = bench.cost_of_reading(bench.contracts(bench.records(START)))
    again = bench.arm("the same quarter again", before + UPDATE, bench.repeated())
    made = [bench.arm("start: a quarter of the contracts", before, starts), again]
    for name, title in LEARNERS.items():
        runs = bench.updated(f"feedback-{name}", partial(lesson, bench, name))
        made.append(bench.arm(title, before + UPDATE + reading, runs))
    return made


def lesson(bench: Bench, name: str, start: Path, _: int) -> Lesson:
    """Return the lesson of one of LEARNERS."""
    state = state_of(start)
    feedback = feedback_of(bench, start)
    if name == "grpo":
        return Lesson(feedback.contracts, grpo_loss(feedback, len(bench.labels)), state)
    weight = KL if name == "supervised-near" else 0.0
    positive = bench.config["training"]["positive_weight"]
    return Lesson(
        feedback.contracts, supervised_loss(feedback, len(bench.labels), positive, weight), state
    )


def feedback_of(bench: Bench, start: Path) -> Feedback:
    """Let the start read the other contracts, and judge the clauses that it shows."""
    records = bench.records(START)
    contracts = bench.contracts(records)
    soft_labels = bench.soft_labels(start, contracts, "grpo")
    shown, accepted = [], set()
    for record, contract in zip(records, contracts, strict=True):
        place, tokens = contract.place, bench.tokenise(record["text"])
        found = bench.candidates(record, soft_labels[place : place + len(contract.ids)])
        found = [candidate for candidate in found if candidate.score >= SHOWN]
        spans = [(c.label, *token_range(tokens, c.start, c.end)) for c in found]
        matched = judge(record, found, bench.labels).matched
        accepted |= {(place, *span) for span, hits in zip(spans, matched, strict=True) if hits}
        shown.append(Contract(contract.ids, spans, place))
    return Feedback(shown, accepted, soft_labels)


def supervised_loss(feedback: Feedback, labels: int, positive: float, weight: float) -> Loss:
    """Return the cross-entropy of the tokens of accepted and rejected clauses.

    Args:
        positive: weight of the tokens of an accepted clause.
        weight: of the distance to the start.
    """

    def loss(batch: Sequence[Window], logits: Tensor, _: Tensor) -> Tensor:
        inside = logits[..., :labels]
        known, right = torch.zeros_like(inside), torch.zeros_like(inside)
        for i, window in enumerate(batch):
            for label, first, end, accepted in feedback.in_window(window, inside.shape[1]):
                known[i, first:end, label] = 1.0
                if accepted:  # rejected ones may overlap it
                    right[i, first:end, label] = 1.0
        losses = binary_cross_entropy_with_logits(
            inside, right, weight=known, pos_weight=torch.tensor(positive), reduction="sum"
        )
        return losses / inside[..., 0].numel() + weight * distance(feedback, batch, logits)

    return loss


def distance(feedback: Feedback, batch: Sequence[Window], logits: Tensor) -> Tensor:
    """Return the cross-entropy to the start: the divergence from it, plus a constant."""
    return soft_loss(logits, soft_targets(batch, logits.shape[1], feedback.soft_labels))


def grpo_loss(feedback: Feedback, labels: int) -> Loss:
    """Return the policy loss of GRPO with its distance to the start.

    A group is the samples of one category in one window. A sample gets 1 for each accepted clause
    of which it has half of the tokens, and -1 for each rejected one. Only tokens of known clauses
    count, because no other decides the reward. The likelihood is a surrogate: a sample draws one
    threshold, and its tokens count as if each were drawn. There is one update a batch, so no ratio
    to an older policy.
    """

    def loss(batch: Sequence[Window], logits: Tensor, _: Tensor) -> Tensor:
        inside = logits[..., :labels]
        result = KL * distance(feedback, batch, logits)
        for i, window in enumerate(batch):
            clauses: dict[int, list[tuple[int, int, bool]]] = {}
            for label, first, end, accepted in feedback.in_window(window, inside.shape[1]):
                clauses.setdefault(label, []).append((first, end, accepted))
            for label, known in clauses.items():
                result = result + group_loss(inside[i, :, label], known) / inside[..., 0].numel()
        return result

    return loss


def group_loss(logits: Tensor, known: Sequence[tuple[int, int, bool]]) -> Tensor:
    """Return the policy loss of one group: logits of a category [tokens], and its known clauses."""
    sampled = logits.detach().sigmoid() > torch.rand(SAMPLES, 1)
    rewards = torch.zeros(SAMPLES)
    mask = torch.zeros(len(logits))
    for first, end, accepted in known:
        has = sampled[:, first:end].float().mean(1) >= 0.5
        rewards += has if accepted else -has.float()
        mask[first:end] = 1.0
    chosen = binary_cross_entropy_with_logits(
        logits.expand(SAMPLES, -1), sampled.float(), weight=mask, reduction="none"
    )
    return (advantages(rewards) * chosen.sum(1)).mean()


def advantages(rewards: Tensor) -> Tensor:
    """Return the ranks of rewards [samples], with mean 0 and deviation 1; 0 if all are equal."""
    above = (rewards[:, None] > rewards[None]).float() + (rewards[:, None] == rewards[None]) / 2
    ranks = above.sum(1) - above.sum(1).mean()
    deviation = ranks.std(correction=0)
    return ranks / deviation if deviation > 0 else ranks
