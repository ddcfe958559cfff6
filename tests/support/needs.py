"""Mark tests that need more than this repository, so that `make test` runs on a bare machine.

`@pytest.mark.needs("a browser")` leaves a test to `make test-all`. Tests on PostgreSQL, a broker or
a bucket, and all tests below the folders of WHOLE, get the mark here.
"""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.support import ROOT

WHOLE = {
    "deployment": "deployment",
    "system/real": "real data",
    "system": "whole suites",
}
"""Folders that `make test` leaves out, and why."""
BY_PARAMETER = {
    "postgresql": "PostgreSQL",
    "kafka": "a broker",
    "s3": "a bucket",
}
BY_FIXTURE = {"servers": "PostgreSQL", "bucket": "a bucket", "s3": "a bucket"}
BY_MARK = {"kafka": "a broker", "slow": "time"}


class Needs:
    """Marks tests by what they need, and counts those that this run leaves out."""

    def __init__(self) -> None:
        self.left: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Mark each test that needs something."""
        for item in items:
            if item.get_closest_marker("needs") is None and (reason := reason_of(item)):
                item.add_marker(pytest.mark.needs(reason))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count a test that is left out for its needs."""
        for item in items:
            if mark := item.get_closest_marker("needs"):
                self.left[mark.args[0]] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the counts of a worker process to the main process."""
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["left"] = dict(self.left)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take the counts of one worker process; each collects all tests."""
        self.left = Counter(getattr(node, "workeroutput", {}).get("left", {}))

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print how many tests are left to the other target, and why."""
        if self.left and not hasattr(config, "workerinput"):
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.left.most_common())
            print(f"left to make test-all: {self.left.total()} tests ({reasons})")


def reason_of(item: pytest.Item) -> str | None:
    """Return what a test needs, or None."""
    for folder, reason in WHOLE.items():
        if item.path.is_relative_to(ROOT / "tests" / folder):
            return reason
    for name, reason in BY_MARK.items():
        if item.get_closest_marker(name):
            return reason
    values = set()
    if isinstance(item, pytest.Function) and (call := getattr(item, "callspec", None)):
        values = {value for value in call.params.values() if isinstance(value, str)}
    for name, reason in BY_PARAMETER.items():
        if name in values:
            return reason
    fixtures = set(getattr(item, "fixturenames", ()))
    for name, reason in BY_FIXTURE.items():
        if name in fixtures and "sqlite" not in values:
            return reason
    return None
