"""Find clauses in contracts, for `extract`, `batch` and `watch`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from services.cli.deployment.specialists import load_specialists
from services.cli.documents.batch import CannotStart
from services.cli.documents.reading import document_json, most_characters, open_reader
from services.cli.output.lines import rounded_timings
from shared.errors import SuiteError

if TYPE_CHECKING:
    from shared.documents import ParsedDocument
    from shared.inference import Specialist
    from shared.policy.rules import RiskRules


@dataclass(frozen=True)
class Answer:
    """The result of one contract."""

    clauses: Sequence[Mapping[str, Any]] = ()
    presence: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    risks: Sequence[Mapping[str, Any]] = ()
    missed: Sequence[Mapping[str, Any]] = ()


class ContractReader:
    """Reads contracts and finds their clauses with one or several specialists on one base. The
    model is loaded with the first document.
    """

    def __init__(
        self, adapters: Sequence[str], *, every: bool, rules: RiskRules | None = None
    ) -> None:
        self.adapters = tuple(dict.fromkeys(adapters))
        self.every = every
        self.rules = rules
        self.reader = open_reader()
        self._most_characters = most_characters()
        self._specialists: list[Specialist] = []
        self._seconds_read = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()

    @property
    def most_bytes(self) -> int:
        """Largest size of a document in bytes."""
        return self.reader.limits.max_bytes

    @property
    def maker(self) -> str:
        """The specialists, their versions and their base."""
        models = self._models()
        names = " and ".join(f"{model['adapter']} {model['version']}" for model in models)
        return f"{names} on {models[0]['base'][:12]}"

    def read(self, path: str, data: bytes, password: str | None) -> ParsedDocument:
        """The text of a document, with its pages. Raises UnreadableDocument."""
        began = time.monotonic()
        reading = self.reader.read(data, name=Path(path).name, password=password)
        self._seconds_read = time.monotonic() - began
        return reading

    def result(
        self,
        path: str,
        data: bytes,
        password: str | None,
        reading: ParsedDocument | None = None,
        *,
        kind_unsure: bool = False,
    ) -> Mapping[str, Any]:
        """The result of a document without its parts.

        Args:
            reading: what `read` has just returned for this document, if it was called.
            kind_unsure: whether it may be no contract. Then nothing is accepted.

        Raises UnreadableDocument, or CannotStart without a model.
        """
        from services.extraction.domain import limit_length
        from services.extraction.pipeline.warnings import shown_warnings

        reading = reading or self.read(path, data, password)
        limit_length(reading.text, self._most_characters)
        models = self._models()
        loaded = time.monotonic()
        answer = self._clauses(reading, kind_unsure) if reading.page_count else Answer()
        search_result = time.monotonic()
        return {
            "source": path,
            "document": document_json(reading, data),
            "clauses": answer.clauses,
            "presence": answer.presence,
            "model": models[0],
            "models": models,
            **({"risks": answer.risks} if self.rules and self.rules.max_wrong else {}),
            **({"missed": answer.missed} if self.rules and self.rules.max_missed else {}),
            "warnings": [
                *reading.warnings,
                *shown_warnings(answer.warnings, reading.media_type),
            ],
            "timings": rounded_timings(read=self._seconds_read, find=search_result - loaded),
        }

    def _clauses(self, reading: ParsedDocument, kind_unsure: bool) -> Answer:
        from services.extraction.domain import search_record
        from services.extraction.pipeline.ranking import MIN_SCORE
        from services.extraction.pipeline.search import search
        from services.extraction.routing.routes import (
            route_clauses,
            stated_missed,
            stated_missed_for,
            stated_risk,
        )
        from services.extraction.values import value_json
        from shared.policy.rules import REVIEW_ALL

        clauses: list[dict[str, Any]] = []
        presence = []
        warnings: dict[str, None] = {}
        risks, missed = [], []
        rules = self.rules or REVIEW_ALL
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
            stated = stated_risk(specialist, found, rules, kind_unsure=kind_unsure)
            clauses += (
                {
                    "category": clause.category,
                    "text": clause.text,
                    "start": clause.start,
                    "end": clause.end,
                    "omitted": [{"start": start, "end": end} for start, end in clause.omitted],
                    "page": reading.page_at(clause.start),
                    "confidence": clause.confidence,
                    "value": value_json(clause.category, clause.text, clause.start),
                    **name,
                    **({"route": route} if stated else {}),
                }
                for clause, route in zip(
                    found.clauses, route_clauses(found.clauses, reading, stated), strict=True
                )
            )
            if stated:
                risks.append({**name, **asdict(stated)})
            if promised := stated_missed_for(showing, found, reading, kind_unsure):
                shown_above = MIN_SCORE if self.every else promised.above
                missed.append({**name, **asdict(promised), "shown_above": shown_above})
            presence += [
                {**asdict(line), **name} for line in search_record(found, reading).categories
            ]
            warnings |= dict.fromkeys(found.warnings)
        clauses.sort(key=lambda clause: (clause["start"], clause["end"]))
        return Answer(clauses, presence, tuple(warnings), risks, missed)

    def _models(self) -> list[dict[str, Any]]:
        from services.extraction.pipeline.search import default_threshold

        specialists = self._get_specialists()
        return [
            {
                "base": one.manifest.base_sha256,
                "adapter": one.manifest.name,
                "version": one.manifest.version,
                "threshold": default_threshold(one),
            }
            for one in specialists
        ]

    def _get_specialists(self) -> list[Specialist]:

        if not self._specialists:
            try:
                self._specialists = load_specialists(self.adapters)
            except SuiteError as error:
                raise CannotStart(error.message) from error
        return self._specialists
