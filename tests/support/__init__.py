"""Helpers for all tests: skipping, test data, and free ports."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def in_ci() -> bool:
    """Whether a missing requirement must fail this run instead of skipping tests (CI is set)."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def require(condition: object, what_is_missing: str) -> None:
    """Go on only if `condition` holds: skip the test on a laptop, fail it in CI."""
    if condition:
        return
    if in_ci():
        pytest.fail(f"CI must have this: {what_is_missing}", pytrace=False)
    pytest.skip(what_is_missing)


def library(name: str, made_by: str = "make setup-train") -> Any:
    """An optional module; without it the whole test file is skipped on a laptop, failed in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if in_ci():
            pytest.fail(f"CI must have this: {name} ({made_by})", pytrace=False)
        pytest.skip(f"{name} is not installed here ({made_by})", allow_module_level=True)


def data_folder(part: str) -> Path:
    """The folder `part` ("legal" or "finance") of the real data named by SMALLPRINT_TEST_DATA."""
    setting = os.environ.get("SMALLPRINT_TEST_DATA", "")
    require(setting, "real data: set SMALLPRINT_TEST_DATA to the folder that holds legal/ finance/")
    folder = Path(setting).expanduser().resolve() / part
    require(folder.is_dir(), f"real data: SMALLPRINT_TEST_DATA has no folder {part}/")
    return folder


def artefacts() -> Path:
    """The folder of the shipped base and adapters, or the one SMALLPRINT_TEST_ARTEFACTS names."""
    setting = os.environ.get("SMALLPRINT_TEST_ARTEFACTS", "")
    folder = Path(setting).expanduser().resolve() if setting else ROOT / "models" / "artefacts"
    require(any(folder.glob("base-*/base.onnx")), f"the shipped specialist: no base in {folder}")
    return folder
