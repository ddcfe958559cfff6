"""Let statements in tests read all tenants; the code under test may not.

`shared.storage.tenant_isolation` refuses statements without a tenant. Statements in test files are
marked here, unless the file has `HELD = True` because it tests that guard.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from shared.storage.tenant_isolation import ACROSS

TESTS = str(Path(__file__).parents[1])


def let_tests_look(patch: pytest.MonkeyPatch) -> None:
    """Mark every statement that a test file executes."""
    for kind in (Session, Connection):
        patch.setattr(kind, "execute", _marking(kind.execute))


def _marking(execute: Callable[..., Any]) -> Callable[..., Any]:
    def marked(self: Any, statement: Any, *arguments: Any, **options: Any) -> Any:
        asker = sys._getframe(1)
        here = asker.f_code.co_filename.startswith(TESTS)
        if here and not asker.f_globals.get("HELD") and hasattr(statement, "execution_options"):
            statement = statement.execution_options(**{ACROSS: "a test looks"})
        return execute(self, statement, *arguments, **options)

    return marked
