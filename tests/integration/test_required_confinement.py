"""With SMALLPRINT_REQUIRE_CONFINEMENT, services that read documents start only on fit systems."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from services.ingest import bootstrap as ingest
from services.ingest.settings import Settings as IngestSettings
from services.triage import bootstrap as triage
from services.triage.settings import Settings as TriageSettings
from shared.documents import sandbox
from shared.documents.confinement import Confinement
from shared.errors import SettingsError
from shared.settings import load


@pytest.mark.parametrize(
    "build",
    [
        lambda **settings: ingest.build(load(IngestSettings, **settings)),
        lambda **settings: triage.build(load(TriageSettings, **settings)),
    ],
    ids=["ingest", "triage"],
)
def test_a_service_does_not_start_without_a_required_confinement(
    build: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "offered", partial(Confinement, landlock=0, filter=True))
    with pytest.raises(SettingsError, match="smallprint doctor"):
        build(data=tmp_path, require_confinement=True)
    assert not list(tmp_path.iterdir())
