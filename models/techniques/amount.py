"""How much do more contracts and more time help, and a second seed?"""

from __future__ import annotations

from models.techniques.bench import SHORT, Arm, Bench

TITLE = "Contracts, time and seeds"
SHARES = (0.25, 0.5)


def arms(bench: Bench) -> list[Arm]:
    """Train on shares of the contracts, for shorter times, and average two seeds."""
    steps = bench.steps()
    whole = bench.by_labels(steps)
    made = [bench.arm("all contracts", steps, whole)]
    for share in SHARES:
        fewer = bench.steps(share=share)
        runs = bench.by_labels(fewer, share)
        made.append(bench.arm(f"{share:.0%} of the contracts", fewer, runs))
    for epochs in (SHORT / 2, SHORT):
        fewer = bench.steps(epochs)
        made.append(bench.arm(f"{epochs:g} epochs", fewer, bench.by_labels(fewer)))
    pairs = [(whole[i - 1], run) for i, run in enumerate(whole)]
    averaged = [bench.counts(pair, "counts-of-two") for pair in pairs]
    return [*made, Arm("two seeds, averaged", 2 * steps, averaged)]
