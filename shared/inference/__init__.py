"""Specialists at run time: one base, INT4 on disk and INT8 in memory, and small adapters on it.

specialists = Specialists(artefacts_folder, threads=2)
scores = specialists.get("contract-clauses").token_probabilities(text)
"""

from shared.inference.adapters import Manifest, read_manifest
from shared.inference.errors import AdapterError, BaseError, MissingAdapter
from shared.inference.specialists import (
    Base,
    Specialist,
    Specialists,
    TokenCounter,
    TokenScores,
    lazily,
)

__all__ = [
    "AdapterError",
    "Base",
    "BaseError",
    "Manifest",
    "MissingAdapter",
    "Specialist",
    "Specialists",
    "TokenCounter",
    "TokenScores",
    "lazily",
    "read_manifest",
]
