"""Whether processes of infra/kubernetes have the memory that what they start may take."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from services.triage import bootstrap as triage
from services.triage.settings import Settings as TriageSettings
from shared.documents import Limits
from shared.documents.sandbox import Reader
from tests.deployment.test_kubernetes import of_kind, processes, settings_map

GIBIBYTE = 1 << 30
UNITS = {"Mi": 1 << 20, "Gi": GIBIBYTE}
CHILDREN = {"ingest": 2, "ingest-worker": 2, "triage-worker": 2}
"""Concurrent reader processes by deployment. The API of ingest renders pages; workers of ingest and
triage have one more for large documents.
"""
ITSELF = {"api": GIBIBYTE // 2, "worker": GIBIBYTE}
"""Memory of the process itself. The embedded edition, which does all work, has had 466 MB resident
under load, children included (docs/reference/capacity.md).
"""


def _bytes(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)(Mi|Gi)", quantity)
    assert found
    return int(found[1]) * UNITS[found[2]]


def test_a_document_ends_its_child_before_the_process_runs_out_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cluster kills a container above its limit, so its children need a lower one."""
    for name, value in settings_map().items():
        monkeypatch.setenv(name, value)
    bounds = {"ingest": IngestSettings().limits.memory_bytes, "triage": Limits().memory_bytes}
    for name, deployment in of_kind("Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        children = CHILDREN.get(name, 0)
        needed = ITSELF.get(labels["role"], 0)
        if children:
            needed += children * bounds[labels["app"]]
        assert _bytes(processes()[name]["resources"]["limits"]["memory"]) >= needed, name


def test_no_child_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()

    def counting(module: Any) -> None:
        def reader(*arguments: Any, **options: Any) -> Reader:
            made[module.__name__.split(".")[1]] += options.get("children", 1)
            return Reader(*arguments, **options)

        monkeypatch.setattr(module, "Reader", reader)

    for module, settings in ((ingest, IngestSettings), (triage, TriageSettings)):
        counting(module)
        service = module.build(settings(data=tmp_path))
        service.close()
    reckoned: Counter[str] = Counter()
    for name, children in CHILDREN.items():
        reckoned[name.removesuffix("-worker")] += children
    assert made == reckoned


def test_uploads_are_taken_in_by_two() -> None:
    """The other pod continues an upload of a pod that has ended."""
    api = of_kind("Deployment")["ingest"]
    assert api["spec"]["replicas"] == 2
    budget = of_kind("PodDisruptionBudget")["ingest"]["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"]["matchLabels"] == api["spec"]["selector"]["matchLabels"]
