"""Specialists at run time: small adapters on one base (INT4 on disk, INT8 in memory).

specialists = Specialists(artefacts_folder, threads=2)
scores = specialists.get("contract-clauses").token_probabilities(text)
"""

from shared.inference.adapters import AdapterManifest
from shared.inference.errors import AdapterError, BaseError, MissingAdapter
from shared.inference.specialists import (
    Base,
    Specialist,
    Specialists,
    TokenCounter,
    TokenScores,
    lazy_specialists,
)

__all__ = [
    "AdapterError",
    "AdapterManifest",
    "Base",
    "BaseError",
    "MissingAdapter",
    "Specialist",
    "Specialists",
    "TokenCounter",
    "TokenScores",
    "lazy_specialists",
]
