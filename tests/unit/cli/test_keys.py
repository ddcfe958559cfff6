"""`smallprint keys`: keys are made, listed and revoked in a data folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.deployment.owner_key import keep_owner_key, start_lines
from services.cli.deployment.stores import key_ring
from services.cli.output.lines import program
from shared.web.auth import Actor
from tests.unit.cli.builders import Run, lines


def test_keys_are_made_listed_and_revoked(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    code, out, _ = run("keys", "new", "alice", *data)
    secret = out.strip()
    assert code == 0
    assert secret.startswith("sp_")
    _, out, _ = run("keys", "new", "bob", "--tenant", "acme", "--json", *data)
    (made,) = lines(out)
    assert (made["name"], made["tenant"]) == ("bob", "acme")
    _, out, _ = run("keys", "list", "--json", *data)
    listed = lines(out)
    assert [key["name"] for key in listed] == ["alice", "bob"]
    assert secret not in out
    assert run("keys", "revoke", listed[0]["id"], *data)[0] == 0
    _, out, _ = run("keys", "list", *data)
    assert [row.split()[-3:] for row in out.splitlines()[1:]] == [
        ["revoked", "never", "all"],
        ["never", "never", "all"],
    ]
    code, _, err = run("keys", "revoke", "0000", *data)
    assert code == 2
    assert "0000" in err


def test_a_folder_of_a_newer_program_is_one_sentence(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    run("keys", "new", "alice", *data)
    with closing(sqlite3.connect(tmp_path / "data" / "ingest.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    code, out, err = run("keys", "list", *data)
    assert (code, out) == (2, "")
    message = err.splitlines()[-1]
    assert f"{tmp_path}/data/ingest.db is newer than this program" in message
    assert "restore the backup" in message
    assert "Traceback" not in err


def test_keys_say_whose_they_are(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, err = run("keys", "new", "alice", "--data", tmp_path / "a")
    assert f"keys of {tmp_path / 'a'}\n" in err
    assert "this folder is new: its keys only work" in err
    assert f"({program()} serve --data {tmp_path / 'a'})\n" in err
    assert out.startswith("sp_")
    _, _, err = run("keys", "new", "bob", "--data", tmp_path / "a")
    assert "is new" not in err
    for arguments in (("list",), ("revoke", "0" * 16)):
        code, out, err = run("keys", *arguments, "--data", tmp_path / "b")
        assert (code, out) == (2, "")
        assert f"{tmp_path / 'b'} is not the data folder" in err
    assert not (tmp_path / "b").exists()
    monkeypatch.setenv("SMALLPRINT_INGEST_DATABASE_URL", f"sqlite:///{tmp_path}/secret.db")
    _, _, err = run("keys", "list")
    assert "keys of the database that SMALLPRINT_INGEST_DATABASE_URL names" in err
    assert "secret" not in err


def test_keys_need_a_folder_that_can_be_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ingest.db").write_text("something else altogether")
    for folder in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / "other", "x" * 300):
        monkeypatch.setenv("SMALLPRINT_DATA", str(folder))
        for arguments in (("list",), ("new", "alice"), ("revoke", "0" * 16)):
            code, out, err = run("keys", *arguments)
            assert (code, out) == (2, ""), err
            assert err.startswith("smallprint: "), err
            assert "SMALLPRINT_DATA" in err
            assert len(err.splitlines()) == 1


def test_a_key_needs_a_unique_name(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    assert run("keys", "new", *data)[0] == 64
    assert run("keys", "new", "alice", *data)[0] == 0
    code, out, err = run("keys", "new", "alice", *data)
    assert (code, out) == (2, "")
    assert "already has the name 'alice'" in err
    for wanted, *arguments in (
        (64, "new", "\udcff"),
        (64, "new", "bob", "--tenant", "\udcff"),
        (2, "revoke", "\udcff"),
        (64, "list", "--tenant", "\udcff"),
    ):
        code, out, err = run("keys", *arguments, *data)
        assert (code, out) == (wanted, ""), err
        assert "smallprint: " in err


def test_a_key_ends_and_is_rotated(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path, "--json")
    limits = ("--expires", "90d", "--address", "192.0.2.0/24", "--address", "2001:db8::7")
    _, out, _ = run("keys", "new", "nightly", *limits, *data)
    (new,) = lines(out)
    days = datetime.fromisoformat(new["expires"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < days <= timedelta(days=90)
    assert new["addresses"] == ["192.0.2.0/24", "2001:db8::7/128"]
    _, out, _ = run("keys", "rotate", new["id"], "--overlap", "2h", *data)
    (rotated,) = lines(out)
    assert rotated["key"] != new["key"]
    assert {**rotated, "key": new["key"]} == new
    _, out, _ = run("keys", "list", *data)
    (listed,) = lines(out)
    left = datetime.fromisoformat(listed["old_secret_until"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=59) < left <= timedelta(hours=2)
    assert (listed["expires"], listed["addresses"]) == (new["expires"], new["addresses"])
    for wrong in ("90", "x", "-1d", "1w", "9" * 5000 + "d", "\u0663d"):
        assert run("keys", "new", "other", "--expires", wrong, *data)[0] == 64
    assert run("keys", "rotate", "0" * 16, *data)[0] == 2


def test_sessions_are_listed_and_ended(run: Run, tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    run("keys", "new", "alice", *data)
    with key_ring(tmp_path) as ring:
        actor = Actor("default", "alice", ring.list()[0].id)
        first = ring.open_session(actor, "192.0.2.7", "Firefox").key.id
        for _ in range(2):
            ring.open_session(actor)
    _, out, _ = run("keys", "sessions", "--json", *data)
    shown = lines(out)[0]
    assert (shown["id"], shown["key"], shown["name"]) == (first, actor.key_id, "alice")
    assert (shown["address"], shown["user_agent"]) == ("192.0.2.7", "Firefox")
    assert run("keys", "end", first, *data)[0] == 0
    assert run("keys", "end", first, *data)[0] == 2
    _, out, _ = run("keys", "sessions", *data)
    assert len(out.splitlines()) == 3
    assert run("keys", "end", actor.key_id, "--all", *data)[0] == 0
    assert run("keys", "sessions", *data)[1] == ""


def test_a_link_signs_in_once_and_only_a_terminal_gets_it_at_the_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--data", tmp_path)
    run("keys", "new", "alice", *data)
    assert run("keys", "link", *data)[0] == 2  # no owner's key yet
    url = "https://papers.example"
    with key_ring(tmp_path) as ring:
        key, _ = keep_owner_key(ring, tmp_path)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        assert f"{url}/#sign-in=sp_" in start_lines(ring, key, url, tmp_path)[1]
    monkeypatch.setenv("SMALLPRINT_PUBLIC_URL", url)
    code, out, _ = run("keys", "link", *data)
    assert code == 0
    assert out.startswith(f"{url}/#sign-in=sp_")
    with key_ring(tmp_path) as ring:
        holder = ring.check(out.strip().rpartition("=")[2])
        assert holder is not None
        assert ring.open_session(holder).key.name == "owner"
