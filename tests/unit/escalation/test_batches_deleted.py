"""Words of a batch that is over do not stay at its provider, also where deleting fails at first."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from services.escalation.batches.batches import AGAIN, DELETES
from services.escalation.batches.store import batches
from services.escalation.providers import (
    Lost,
    NotReached,
    NotThere,
    Provider,
    ProviderError,
    TooBusy,
)
from tests.unit.escalation.test_backlog import PROTOCOLS, Late, late, speaking
from tests.unit.escalation.test_batches import Desk, Died, _die_in, _prompt, desk

__all__ = ["desk", "late"]


class Away:
    """A provider that answers some requests with an error, so often, and keeps what it was asked.

    Args:
        what: method and beginning of the path of those requests.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, what: tuple[str, str], *errors: Exception
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        self.errors = list(errors)
        exchange = Provider._exchange

        def exchanged(provider: Provider, wanted: Any, seconds: float) -> Any:
            self.asked.append((wanted.method, wanted.path))
            if self.errors and wanted.method == what[0] and wanted.path.startswith(what[1]):
                raise self.errors.pop(0)
            return exchange(provider, wanted, seconds)

        patch.setattr(Provider, "_exchange", exchanged)

    def deleted(self) -> int:
        """How often it was to delete something."""
        return sum(method == "DELETE" for method, _ in self.asked)


def left(desk: Desk) -> list[str]:
    """What the provider of a batch has of it still."""
    held = desk.stand_in.batches
    return [*held.files, *(() if desk.protocol == "openai" else held.held)]


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
@pytest.mark.parametrize("refusal", [TooBusy("busy (429)"), NotReached("away for a moment")])
def test_the_file_of_a_batch_that_is_not_taken_is_deleted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, refusal: ProviderError
) -> None:
    """Each try uploads its own, and takes it back."""
    away = Away(monkeypatch, ("POST", "/v1/batches"), refusal, refusal)
    desk.read()
    assert desk.states() == ["refused", "refused", "ended"]
    assert away.asked.count(("POST", "/v1/files")) == 3
    assert left(desk) == []


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
def test_the_file_of_a_batch_that_may_have_been_taken_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch may be at work with it."""
    away = Away(monkeypatch, ("POST", "/v1/batches"), Lost("it broke off"))
    with pytest.raises(Lost):
        desk.provider().hand_in({"ca_1": _prompt(desk, 0)}, "mark")
    assert away.deleted() == 0
    assert len(left(desk)) == 1


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
def test_a_file_that_can_t_be_taken_back_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is raised is why the batch was not taken."""
    Away(monkeypatch, ("POST", "/v1/batches"), TooBusy("busy (429)"))
    Away(monkeypatch, ("DELETE", ""), NotReached("away for a moment"))
    with caplog.at_level(logging.WARNING), pytest.raises(TooBusy):
        desk.provider().hand_in({"ca_1": _prompt(desk, 0)}, "mark")
    assert "a batch that was not taken stay there" in caplog.text


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
def test_a_file_that_can_t_be_deleted_holds_back_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are tried, and the first error is told; what is not there any more is deleted."""
    provider = desk.provider()
    remote = provider.hand_in({"ca_1": _prompt(desk, 0)}, "mark")
    ended = provider.look(remote.id)
    assert len(ended.files) == len(left(desk)) == 2
    Away(monkeypatch, ("DELETE", ""), NotReached("away for a moment"))
    with pytest.raises(NotReached, match="for a moment"):
        provider.forget(ended)
    assert left(desk) == [ended.files[0]]
    provider.forget(ended)
    provider.forget(ended)
    assert left(desk) == []


def test_what_was_not_deleted_is_tried_again_by_the_comparison(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and whenever the command goes on, until it is done."""
    away = Away(monkeypatch, ("DELETE", ""), *[NotReached("away")] * 9)
    desk.read()
    assert desk.states() == ["ended"]
    assert left(desk)
    away.errors.clear()
    desk.read()
    assert left(desk) == []
    asked = away.deleted()
    desk.read()
    assert away.deleted() == asked


def test_who_dies_before_deleting_deletes_when_it_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is over by then, and nobody looks at it otherwise."""
    with monkeypatch.context() as patch:
        _die_in(patch, type(desk.reader().batches), "_end")
        with pytest.raises(Died):
            desk.read()
    assert desk.states() == ["ended"]
    assert left(desk)
    desk.read()
    assert left(desk) == []


@pytest.mark.parametrize("protocol", ["anthropic", "openai"])
def test_the_job_tries_again_for_a_while(
    late: Late, monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> None:
    """Each hour, by whichever process; then no more, though it never was possible."""
    speaking(late, protocol)
    away = Away(monkeypatch, ("DELETE", ""), *[NotReached("away")] * 10_000)
    late.say(late.request())
    late.round()
    late.round()
    (batch,) = late.rows(batches)
    assert batch.state == "ended"
    assert late.answers()["cl_1"].answer
    files = 2 if protocol == "openai" else 1
    assert away.deleted() == files
    late.round()
    assert away.deleted() == files
    for tries in (2, 3):
        late.now += AGAIN
        late.round()
        assert away.deleted() == tries * files
    late.now = batch.until + DELETES + timedelta(hours=2)
    late.round()
    assert away.deleted() == 3 * files


@pytest.mark.parametrize("protocol", ["anthropic", "openai"])
def test_what_the_job_has_deleted_at_last_is_left_alone(
    late: Late, monkeypatch: pytest.MonkeyPatch, protocol: Any
) -> None:
    """Also where it was deleted before, and nobody wrote that down."""
    speaking(late, protocol)
    away = Away(monkeypatch, ("DELETE", ""), NotReached("away"))
    late.say(late.request())
    late.round()
    late.round()
    late.now += AGAIN
    late.round()
    held = late.stand_in.batches
    assert held.files == {}
    assert protocol == "openai" or held.held == {}
    asked = away.deleted()
    late.now += AGAIN
    late.round()
    assert away.deleted() == asked
    rounds = late.rounds().batches
    (batch,) = late.rows(batches)
    assert (batch.looked, rounds.left()) == (None, [])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_that_ends_after_its_time_is_deleted_then(late: Late, protocol: Any) -> None:
    """Anthropic deletes nothing that is not done, and OpenAI writes files when it is: also where
    the next try finds it at work still.
    """
    speaking(late, protocol)
    desk = late.stand_in.batches
    desk.faults = frozenset({"never"})
    late.say(late.request(1), late.request(2))
    late.round()
    (batch,) = late.rows(batches)
    late.now = batch.until + timedelta(minutes=1)
    for _ in range(2):
        late.round()
        (batch,) = late.rows(batches)
        assert batch.state == "lost"
        assert batch.looked is not None, "it may have words when it ends"
        late.now += AGAIN
    (held,) = desk.held.values()
    assert held.stopped
    held.faults = frozenset({"stuck"})  # the last of its questions is answered, and it ends
    late.round()
    assert held.ended
    assert desk.files == {}
    if protocol == "openai":
        assert len(desk.deleted) == 3, "what was asked, answers, and errors"
    else:
        assert desk.held == {}
    (batch,) = late.rows(batches)
    assert (batch.state, batch.looked) == ("lost", None)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_that_can_t_be_found_is_not_deleted_where_none_ever_is(
    late: Late, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, protocol: Any
) -> None:
    """OpenAI keeps its batches: another address or key says nothing of the files of one."""
    speaking(late, protocol)
    Away(monkeypatch, ("DELETE", ""), *[NotReached("away")] * 2)
    late.say(late.request())
    late.round()
    late.round()
    away = Away(monkeypatch, ("GET", ""), NotThere("no such address (404)"))
    late.now += AGAIN
    caplog.clear()
    late.round()
    (batch,) = late.rows(batches)
    assert "(404)" in [getattr(one, "reason", "")[-5:] for one in caplog.records]
    assert away.deleted() == 0
    if protocol == "anthropic":
        assert batch.looked is None
        return
    assert batch.looked is not None
    late.now += AGAIN
    late.round()
    (batch,) = late.rows(batches)
    assert (batch.looked, late.stand_in.batches.files) == (None, {})


@pytest.mark.parametrize("desk", ["openai"], indirect=True)
def test_what_was_not_there_to_be_deleted_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway that does not lead there says the same as a provider that deleted it."""
    provider = desk.provider()
    ended = provider.look(provider.hand_in({"ca_1": _prompt(desk, 0)}, "mark").id)
    Away(monkeypatch, ("DELETE", ""), NotThere("no such address (404)"))
    provider.forget(ended)
    (told,) = [one for one in caplog.records if "was not there" in one.message]
    assert told.levelno == logging.WARNING
    assert (vars(told)["provider"], vars(told)["path"]) == (
        provider.name,
        f"/v1/files/{ended.files[0]}",
    )
    assert left(desk) == [ended.files[0]]


def test_who_has_no_key_any_more_holds_up_nobody(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of a batch can't be deleted then; all else goes on."""
    Away(monkeypatch, ("DELETE", ""), NotReached("away"))
    late.say(late.request(1))
    late.round()
    late.round()
    late.answers()
    monkeypatch.setattr(Provider, "look", lambda *_: 1 / 0)
    late.now += AGAIN
    late.say(late.request(2))
    late.round()
    assert late.states() == ["settled", "reserved"]
