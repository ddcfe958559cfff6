"""Defaults of settings that depend on the installation."""

from pathlib import Path

import pytest

from shared.settings import default_data


@pytest.mark.parametrize(
    ("checkout", "shared", "expected"),
    [
        (True, "/shared", "CHECKOUT/var/data"),
        (False, "/shared", "/shared/smallprint"),
        (False, "", "/elsewhere/.local/share/smallprint"),
    ],
)
def test_only_a_checkout_keeps_its_data_in_its_own_folder(
    *,
    checkout: bool,
    shared: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if checkout:
        (tmp_path / "Makefile").touch()
    monkeypatch.setenv("XDG_DATA_HOME", shared)
    monkeypatch.setenv("HOME", "/elsewhere")
    assert default_data(tmp_path) == Path(expected.replace("CHECKOUT", str(tmp_path)))
