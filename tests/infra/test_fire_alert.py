"""An alert goes off on a real Prometheus, its runbook is followed, and it ends."""

from pathlib import Path

import pytest

from infra.fire_alert import RULES, WAIT, _shortened, missing, show
from tests.support import ROOT, artefacts, require


def test_only_waiting_times_are_shortened() -> None:
    """What is seen go off is the rule that is shipped."""
    shipped, used = RULES.read_text("utf-8"), _shortened(RULES.read_text("utf-8"))
    pairs = list(zip(shipped.splitlines(), used.splitlines(), strict=True))
    changed = [(a, b) for a, b in pairs if a != b]
    assert len(changed) >= 5
    for before, after in changed:
        assert before.strip().startswith("for: ")
        assert after.strip() == f"for: {WAIT}"


@pytest.mark.slow
def test_a_worker_that_is_gone_is_noticed_and_its_runbook_helps(tmp_path: Path) -> None:
    """The alert fires, status shows why, starting the worker ends it, and the document ends."""
    lacking = missing()
    require(lacking is None, lacking or "")
    artefacts()
    seen = show(tmp_path)
    text = "\n".join(seen.lines)
    assert text.index("FIRING") < text.index("on the bus") < text.index("RESOLVED")
    assert (ROOT / seen.runbook).is_file()
    assert seen.outcome == "complete"
