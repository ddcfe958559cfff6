"""`smallprint users`: people are added, listed and disabled in a data folder."""

from __future__ import annotations

from pathlib import Path

from services.cli.deployment.stores import key_ring
from shared.web.auth import Actor
from tests.unit.cli.builders import Run, lines


def test_a_role_is_named_after_the_address(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    run("users", "add", "Ada", "ada@example.com", "--role", "viewer", *data)
    assert run("users", "role", "ada@example.com", "lead", *data)[0] == 0
    _, out, _ = run("users", "list", "--json", *data)
    assert [user["role"] for user in lines(out)] == ["lead"]


def test_disabling_a_user_names_what_they_made_and_can_revoke_the_keys(
    run: Run, tmp_path: Path
) -> None:
    data = ("--data", tmp_path)
    address = "eve@example.com"
    code, out, _ = run("users", "add", "Eve", address, "--role", "admin", "--json", *data)
    assert code == 0
    with key_ring(tmp_path) as ring:
        by = Actor("default", "Eve", lines(out)[0]["id"])
        made = ring.create("default", "nightly", by=by).key.id
    for options, state in (((), "goes on working"), (("--keys",), "is revoked")):
        code, _, err = run("users", "disable", address, *options, *data)
        assert (code, f"key {made} (nightly), made or changed by Eve, {state}" in err) == (0, True)
        assert (f"disable {address} --keys" in err) == (not options)
    _, out, _ = run("keys", "list", "--json", *data)
    assert [bool(key["revoked"]) for key in lines(out)] == [True]
    _, _, err = run("users", "disable", address, *data)
    assert "nightly" not in err
