"""Contracts read for their clauses: what `extract`, `batch` and `watch` do with each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from services.cli.printing import rounded_timings
from services.cli.reading import (
    can_be_checked,
    document_json,
    most_characters,
    open_reader,
    with_parts,
)
from services.cli.specialists import load_specialists
from shared.errors import SuiteError, UnsupportedType

if TYPE_CHECKING:
    from shared.documents import Reading
    from shared.inference import Specialist
    from shared.policy import RiskRules


@dataclass(frozen=True)
class Answer:
    """What is said of one contract."""

    clauses: Sequence[Mapping[str, Any]] = ()
    presence: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    risks: Sequence[Mapping[str, Any]] = ()
    missed: Sequence[Mapping[str, Any]] = ()


class Finder:
    """Reads contracts and finds their clauses by one specialist or several, on one base. The model
    is loaded with the first document.
    """

    def __init__(
        self, adapters: Sequence[str], *, every: bool, rules: RiskRules | None = None
    ) -> None:
        self.adapters = tuple(dict.fromkeys(adapters))
        self.every = every
        self.rules = rules
        self.reader = open_reader()
        self.parts = with_parts(self.reader)
        self._most_characters = most_characters()
        self._specialists: list[Specialist] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.reader.close()

    @property
    def most_bytes(self) -> int:
        """Bytes that one document may have."""
        return self.reader.limits.max_bytes

    @property
    def maker(self) -> str:
        """The specialists, their versions and their base."""
        models = self._models()
        names = " and ".join(f"{model['adapter']} {model['version']}" for model in models)
        return f"{names} on {models[0]['base'][:12]}"

    def file(self, path: str, password: str | None) -> Iterator[Mapping[str, Any]]:
        """The one line about a file. Raises UnsupportedType for a report."""
        from shared.cli.files import read_file

        def contract(source: str, data: bytes) -> Mapping[str, Any]:
            if can_be_checked(source, data):
                raise UnsupportedType(
                    "this is a report (JSON, JSON lines, CSV): use `smallprint triage`",
                    document=source,
                )
            return self.result(source, data, password)

        yield self.parts.line(path, read_file(path, self.most_bytes), contract)

    def result(self, path: str, data: bytes, password: str | None) -> Mapping[str, Any]:
        """What is in one document itself. Raises UnreadableDocument, or CannotStart without a
        model.
        """
        from services.extraction.domain import refuse_too_long

        began = time.monotonic()
        reading = self.reader.read(data, name=Path(path).name, password=password)
        refuse_too_long(reading.text, self._most_characters)
        read = time.monotonic()
        models = self._models()
        loaded = time.monotonic()
        answer = self._clauses(reading) if reading.page_count else Answer()
        found = time.monotonic()
        return {
            "source": path,
            "document": document_json(reading, data),
            "clauses": answer.clauses,
            "presence": answer.presence,
            "model": models[0],
            "models": models,
            **({"risks": answer.risks} if self.rules and self.rules.max_wrong else {}),
            **({"missed": answer.missed} if self.rules and self.rules.max_missed else {}),
            "warnings": [*reading.warnings, *answer.warnings],
            "timings": rounded_timings(read=read - began, find=found - loaded),
        }

    def _clauses(self, reading: Reading) -> Answer:
        from services.extraction.domain import searched
        from services.extraction.pipeline import search
        from services.extraction.ranking import LEAST
        from services.extraction.routing import missed_in, routes, stated_missed, stated_risk
        from services.extraction.values import value_json
        from shared.policy import EVERYTHING

        clauses: list[dict[str, Any]] = []
        presence = []
        warnings: dict[str, None] = {}
        risks, missed = [], []
        rules = self.rules or EVERYTHING
        for specialist in self._get_specialists():
            name = {"adapter": specialist.manifest.name}
            showing = stated_missed(specialist, rules)
            found = search(
                reading.text,
                specialist,
                reading.furniture,
                all_candidates=self.every,
                above=showing.above if showing else None,
            )
            stated = stated_risk(specialist, found, rules)
            clauses += (
                {
                    "category": clause.category,
                    "text": clause.text,
                    "start": clause.start,
                    "end": clause.end,
                    "page": reading.page_at(clause.start),
                    "confidence": clause.confidence,
                    "value": value_json(clause.category, clause.text, clause.start),
                    **name,
                    **({"route": route} if stated else {}),
                }
                for clause, route in zip(
                    found.clauses, routes(found.clauses, reading, stated), strict=True
                )
            )
            if stated:
                risks.append({**name, **stated.to_json()})
            if promised := missed_in(showing, found, reading):
                shown_above = LEAST if self.every else promised.above
                missed.append({**name, **promised.to_json(), "shown_above": shown_above})
            presence += [{**asdict(line), **name} for line in searched(found, reading).categories]
            warnings |= dict.fromkeys(found.warnings)
        clauses.sort(key=lambda clause: (clause["start"], clause["end"]))
        return Answer(clauses, presence, tuple(warnings), risks, missed)

    def _models(self) -> list[dict[str, str]]:
        """What reads, in the order it was named."""
        manifests = [specialist.manifest for specialist in self._get_specialists()]
        return [
            {"base": one.base_sha256, "adapter": one.name, "version": one.version}
            for one in manifests
        ]

    def _get_specialists(self) -> list[Specialist]:
        from shared.cli.batch import CannotStart

        if not self._specialists:
            try:
                self._specialists = load_specialists(self.adapters)
            except SuiteError as error:
                raise CannotStart(error.message) from error
        return self._specialists
