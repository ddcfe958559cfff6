"""Tables and queries of what is watched, for each service that promises something.

Every query names the tenant but those of metrics. The tables are a service's own (`Watched.of` adds
them to its metadata, and its migrations make them); what a result and a unit are is the service's
word: clauses of documents, findings of filings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from shared.storage.messages import Number, Time
from shared.storage.tenants import across_tenants
from shared.storage.upsert import insert_new
from shared.watch.drift import Drift
from shared.watch.evidence import Check, Watch
from shared.watch.local import Local
from shared.watch.refitting import Decided


@dataclass(frozen=True)
class Tables:
    """The tables of one service."""

    checks: Table
    figures: Table
    watches: Table
    notices: Table
    calibrations: Table

    @classmethod
    def of(cls, metadata: MetaData, result: str, unit: str, *more: Column[Any]) -> Self:
        """Tables in the metadata of a service.

        Args:
            metadata: of the service.
            result: the name of the column with the id of a result, such as `clause_id`.
            unit: that of the column with the id of what figures are kept of, such as `document_id`.
            more: further columns of checks.
        """
        return cls(
            Table(
                "checks",
                metadata,
                Column("tenant", String(64), primary_key=True),
                Column(result, String(64), primary_key=True, key="result_id"),
                Column("document_id", String(64), nullable=False),
                Column("adapter", String(64), nullable=False),
                Column("version", String(64), nullable=False),
                Column("category", String(200), nullable=False),
                Column("confidence", Float, nullable=False),
                Column("belief", Float, nullable=False),
                Column("promise", String(200), nullable=False),
                Column("share", Float, nullable=False),
                Column("sampled", Boolean, nullable=False),
                Column("wrong", Boolean),
                Column("place", Integer),
                *more,
            ),
            Table(
                "figures",
                metadata,
                Column("tenant", String(64), primary_key=True),
                Column("adapter", String(64), primary_key=True),
                Column(unit, String(64), primary_key=True, key="unit_id"),
                Column("name", String(16), primary_key=True),
                Column("reference", String(200), nullable=False),
                Column("value", Float, nullable=False),
                Column("time", Time, nullable=False),
            ),
            Table(
                "watches",
                metadata,
                Column("tenant", String(64), primary_key=True),
                Column("adapter", String(64), primary_key=True),
                Column("promise", String(200), nullable=False),
                Column("terms", JSON, nullable=False),
                Column("evidence", JSON(none_as_null=True)),
                Column("documents", Integer, nullable=False),
                Column("step", Integer, nullable=False),
                Column("doubted", JSON, nullable=False),
                Column("reference", String(200), nullable=False),
                Column("drift", JSON(none_as_null=True)),
                Column("drifted", Boolean, nullable=False),
                Column("stability", Float),
            ),
            Table(
                "notices",
                metadata,
                Column("number", Number, primary_key=True, autoincrement=True),
                Column("tenant", String(64), nullable=False),
                Column("adapter", String(64), nullable=False),
                Column("kind", String(16), nullable=False),
                Column("about", String(200), nullable=False),
                Column("text", Text, nullable=False),
                Column("actor", String(200), nullable=False),
                Column("time", Time, nullable=False),
            ),
            Table(
                "calibrations",
                metadata,
                Column("tenant", String(64), primary_key=True),
                Column("adapter", String(64), primary_key=True),
                Column("number", Integer, primary_key=True),
                Column("version", String(64), nullable=False),
                Column("data", LargeBinary, nullable=False),
                Column("report", JSON, nullable=False),
                Column("actor", String(200), nullable=False),
                Column("time", Time, nullable=False),
                Column("before", JSON, nullable=False),
                Column("undone", Time),
                Column("undone_by", String(200)),
            ),
        )


@dataclass(frozen=True)
class Kept:
    """What is kept of the watch over one specialist of a tenant."""

    adapter: str
    promise: str = ""
    terms: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    documents: int = 0
    step: int = 0
    doubted: tuple[str, ...] = ()
    reference: str = ""
    drift: Mapping[str, Any] | None = None
    drifted: bool = False
    stability: float | None = None

    @property
    def watch(self) -> Watch | None:
        """The promise that is watched, with its evidence; None before one was made."""
        if not self.terms:
            return None
        start = Watch(**self.terms)
        return start.with_json(self.evidence) if self.evidence else start

    @property
    def changes(self) -> Drift:
        """What speaks for a change of the documents."""
        return Drift.of_json(self.drift) if self.drift else Drift.none(())


@dataclass(frozen=True)
class Drawn:
    """A check, or a result that people are asked about anyway, and what they said."""

    result_id: str
    document_id: str
    adapter: str
    version: str
    category: str
    confidence: float
    belief: float
    promise: str
    share: float
    sampled: bool
    wrong: bool | None = None
    place: int | None = None
    family: str | None = None
    """What it hangs together with, where that is kept beside the document."""

    @property
    def decided(self) -> Decided:
        """What a calibration is told of it, once it is decided."""
        group, wrong = self.family or self.document_id, bool(self.wrong)
        return Decided(group, self.category, self.confidence, wrong, 1.0 / self.share)

    @property
    def check(self) -> Check:
        """What the test is told of it, once it is decided."""
        return Check(self.category, self.belief, bool(self.wrong))


@dataclass(frozen=True)
class Notice:
    """Something that was noticed or done about a promise, for people to read."""

    adapter: str
    kind: str
    """`risk`, `category` or `drift` for what was noticed; `calibrated`, `undone` or `loosened`."""
    about: str
    text: str
    actor: str = ""
    time: datetime | None = None


class Watches(ABC):
    """What one tenant's promises have come to. Each service has one, with its own tables."""

    tables: ClassVar[Tables]

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def kept(self, adapter: str, *, lock: bool = False) -> Kept:
        """The watch over a specialist; `lock` keeps others from changing it meanwhile."""
        watches = self.tables.watches
        mine = watches.c.tenant == self.tenant, watches.c.adapter == adapter
        if lock:
            values = _values(Kept(adapter))
            insert_new(self.session, watches, tenant=self.tenant, **values)
        query = select(watches).where(*mine)
        row = self.session.execute(query.with_for_update() if lock else query).one_or_none()
        return _kept(row) if row else Kept(adapter)

    def all(self) -> list[Kept]:
        """The watches over all specialists, by name."""
        watches = self.tables.watches
        query = select(watches).where(watches.c.tenant == self.tenant).order_by(watches.c.adapter)
        return [_kept(row) for row in self.session.execute(query)]

    def save(self, kept: Kept) -> None:
        """Keep a watch, which was locked before."""
        watches = self.tables.watches
        mine = watches.c.tenant == self.tenant, watches.c.adapter == kept.adapter
        self.session.execute(update(watches).where(*mine).values(**_values(kept)))

    def local(self, adapter: str, version: str) -> Local:
        """What holds for a version of a specialist here."""
        kept = self.kept(adapter)
        found = self.calibration(adapter)
        mine = found if found and found.version == version else None
        return Local(
            mine.data if mine else None,
            mine.number if mine else 0,
            kept.step,
            frozenset(kept.doubted),
            kept.drifted,
        )

    # Checks

    def of_document(self, document_id: str, adapter: str) -> list[Drawn]:
        """The checks of a document and a specialist, in a fixed order."""
        checks = self.tables.checks
        found = select(checks).where(
            checks.c.tenant == self.tenant,
            checks.c.document_id == document_id,
            checks.c.adapter == adapter,
            checks.c.sampled.is_(True),
        )
        rows = self.session.execute(found.order_by(checks.c.result_id))
        return [self._drawn(row) for row in rows]

    def find(self, result_id: str) -> Drawn | None:
        """A result that was drawn, asked about or decided."""
        checks = self.tables.checks
        mine = checks.c.tenant == self.tenant, checks.c.result_id == result_id
        row = self.session.execute(select(checks).where(*mine)).one_or_none()
        return self._drawn(row) if row else None

    def _drawn(self, row: Any) -> Drawn:
        columns = (c for c in self.tables.checks.columns if c.key != "tenant")
        return Drawn(**{column.key: row._mapping[column] for column in columns})

    def put(self, drawn: Drawn) -> None:
        """Keep a result that was drawn, asked about or decided, in place of what was."""
        checks = self.tables.checks
        mine = checks.c.tenant == self.tenant, checks.c.result_id == drawn.result_id
        self.session.execute(delete(checks).where(*mine))
        values = {name: value for name, value in vars(drawn).items() if name in checks.c}
        self.session.execute(insert(checks).values(tenant=self.tenant, **values))

    def put_new(self, drawn: Drawn) -> None:
        """Keep a result that was drawn or is asked about; of one that is decided that this version
        found it too, how sure, and by which share it was drawn: by the largest, where this version
        has drawn it before, for it would have been drawn by that. What it counts for in the test of
        a promise stays.
        """
        checks = self.tables.checks
        values = {name: value for name, value in vars(drawn).items() if name in checks.c}
        if insert_new(self.session, checks, tenant=self.tenant, **values):
            return
        known = self.find(drawn.result_id)
        same = known is not None and known.version == drawn.version
        share = max(known.share, drawn.share) if known and same else drawn.share
        mine = checks.c.tenant == self.tenant, checks.c.result_id == drawn.result_id
        now = {"version": drawn.version, "confidence": drawn.confidence, "share": share}
        self.session.execute(update(checks).where(*mine).values(**now))

    def forget_open(self, document_id: str, keep: Sequence[str] = ()) -> None:
        """Forget the checks of a document that nobody has decided, but some."""
        checks = self.tables.checks
        open_ = (
            checks.c.tenant == self.tenant,
            checks.c.document_id == document_id,
            checks.c.wrong.is_(None),
            checks.c.result_id.not_in(keep),
        )
        self.session.execute(delete(checks).where(*open_))

    def asked(self, adapter: str, version: str) -> list[Drawn]:
        """All about a version of a specialist that was drawn, asked about or decided."""
        checks = self.tables.checks
        found = select(checks).where(
            checks.c.tenant == self.tenant,
            checks.c.adapter == adapter,
            checks.c.version == version,
        )
        rows = self.session.execute(found.order_by(checks.c.document_id, checks.c.result_id))
        return [self._drawn(row) for row in rows]

    def decided(self, adapter: str, version: str) -> list[Drawn]:
        """All that people decided about results of a version of a specialist."""
        checks = self.tables.checks
        found = select(checks).where(
            checks.c.tenant == self.tenant,
            checks.c.adapter == adapter,
            checks.c.version == version,
            checks.c.wrong.is_not(None),
        )
        rows = self.session.execute(found.order_by(checks.c.document_id, checks.c.result_id))
        return [self._drawn(row) for row in rows]

    def decisions(self, document_id: str | None = None) -> dict[str, Drawn]:
        """All that people decided (of one document), by the id of the result, of any version."""
        checks = self.tables.checks
        found = select(checks).where(checks.c.tenant == self.tenant, checks.c.wrong.is_not(None))
        if document_id is not None:
            found = found.where(checks.c.document_id == document_id)
        return {row.result_id: self._drawn(row) for row in self.session.execute(found)}

    def entered(self, adapter: str, promise: str) -> list[list[Check]]:
        """The checks that count for a promise, document by document in their order."""
        checks = self.tables.checks
        found = select(checks).where(
            checks.c.tenant == self.tenant,
            checks.c.adapter == adapter,
            checks.c.promise == promise,
            checks.c.place.is_not(None),
        )
        documents: dict[int, list[Check]] = {}
        for row in self.session.execute(found.order_by(checks.c.place, checks.c.result_id)):
            documents.setdefault(row.place, []).append(self._drawn(row).check)
        return list(documents.values())

    def close(self, adapter: str, promise: str) -> None:
        """Have the checks of a promise count for no test any more; decisions stay."""
        checks = self.tables.checks
        mine = (
            checks.c.tenant == self.tenant,
            checks.c.adapter == adapter,
            checks.c.promise == promise,
        )
        self.session.execute(update(checks).where(*mine).values(promise="", place=None))

    def forget_counted(
        self, adapter: str, promise: str, categories: Sequence[str] | None = None
    ) -> None:
        """Have the checks that have counted for a promise count no more, of some categories or of
        all; decisions stay, and those of documents of which not all is decided will count.
        """
        checks = self.tables.checks
        mine = [
            checks.c.tenant == self.tenant,
            checks.c.adapter == adapter,
            checks.c.promise == promise,
            checks.c.place.is_not(None),
        ]
        if categories is not None:
            mine.append(checks.c.category.in_(categories))
        self.session.execute(update(checks).where(*mine).values(promise="", place=None))

    @abstractmethod
    def accepted(self) -> dict[str, int]:
        """How many results of the documents that are kept the machine accepted, by specialist."""

    # Figures of documents

    def put_figures(
        self, adapter: str, unit: str, reference: str, found: Mapping[str, float]
    ) -> bool:
        """Keep the figures of a document or filing; False if it has some already."""
        now = datetime.now(UTC)
        new = [
            insert_new(
                self.session,
                self.tables.figures,
                tenant=self.tenant,
                adapter=adapter,
                unit_id=unit,
                name=name,
                reference=reference,
                value=value,
                time=now,
            )
            for name, value in found.items()
        ]
        return bool(new) and all(new)

    def read_otherwise(self, adapter: str, units: Sequence[str], reference: str) -> bool:
        """Whether figures of one of these were kept by another version of the specialist, or by
        another calibration of it; what is stated of known documents (behind a slash) is no matter.
        """
        figures = self.tables.figures
        query = select(figures.c.reference).distinct()
        mine = (
            figures.c.tenant == self.tenant,
            figures.c.adapter == adapter,
            figures.c.unit_id.in_(units),
        )
        now = reference.partition("/")[0]
        found = self.session.execute(query.where(*mine)).scalars()
        return any(one.partition("/")[0] != now for one in found)

    def place(self, adapter: str, reference: str, name: str, value: float) -> tuple[int, int, int]:
        """How many of the figures kept are below a value, equal to it, and there at all."""
        figures = self.tables.figures
        below = func.count().filter(figures.c.value < value)
        same = func.count().filter(figures.c.value == value)
        query = select(below, same, func.count()).where(*self._figures(adapter, reference, name))
        found = self.session.execute(query).one()
        return int(found[0]), int(found[1]), int(found[2])

    def last_figures(self, adapter: str, reference: str, name: str, most: int) -> list[float]:
        """The newest figures."""
        figures = self.tables.figures
        query = select(figures.c.value).where(*self._figures(adapter, reference, name))
        rows = self.session.execute(query.order_by(figures.c.time.desc()).limit(most))
        return [float(row.value) for row in rows]

    def _figures(self, adapter: str, reference: str, name: str) -> tuple[Any, ...]:
        figures = self.tables.figures
        return (
            figures.c.tenant == self.tenant,
            figures.c.adapter == adapter,
            figures.c.reference == reference,
            figures.c.name == name,
        )

    # Notices and calibrations

    def tell(self, notice: Notice) -> None:
        """Keep a notice."""
        values = {**vars(replace(notice, time=notice.time or datetime.now(UTC)))}
        self.session.execute(insert(self.tables.notices).values(tenant=self.tenant, **values))

    def told(self, most: int) -> list[Notice]:
        """The newest notices."""
        notices = self.tables.notices
        query = select(notices).where(notices.c.tenant == self.tenant)
        rows = self.session.execute(query.order_by(notices.c.number.desc()).limit(most))
        return [
            Notice(row.adapter, row.kind, row.about, row.text, row.actor, row.time) for row in rows
        ]

    def calibration(self, adapter: str) -> Any | None:
        """The calibration that was made here last and is not undone."""
        calibrations = self.tables.calibrations
        query = (
            select(calibrations)
            .where(
                calibrations.c.tenant == self.tenant,
                calibrations.c.adapter == adapter,
                calibrations.c.undone.is_(None),
            )
            .order_by(calibrations.c.number.desc())
            .limit(1)
        )
        return self.session.execute(query).one_or_none()

    def calibrated(self, adapter: str) -> list[Any]:
        """Every calibration that was made here, the undone ones too, the newest first."""
        calibrations = self.tables.calibrations
        query = select(calibrations).where(
            calibrations.c.tenant == self.tenant, calibrations.c.adapter == adapter
        )
        return list(self.session.execute(query.order_by(calibrations.c.number.desc())))

    def add_calibration(
        self, adapter: str, version: str, data: bytes, report: Mapping[str, Any], actor: str
    ) -> int:
        """Keep a calibration, which holds from now on; returns its number."""
        before = self.kept(adapter, lock=True)
        number = 1 + max((row.number for row in self.calibrated(adapter)), default=0)
        was = {"step": before.step, "doubted": list(before.doubted), "drifted": before.drifted}
        self.session.execute(
            insert(self.tables.calibrations).values(
                tenant=self.tenant,
                adapter=adapter,
                number=number,
                version=version,
                data=data,
                report=dict(report),
                actor=actor,
                time=datetime.now(UTC),
                before=was,
            )
        )
        return number

    def undo_calibration(self, adapter: str, number: int, actor: str) -> None:
        """Have the calibration before it hold again."""
        calibrations = self.tables.calibrations
        mine = calibrations.c.tenant == self.tenant, calibrations.c.adapter == adapter
        self.session.execute(
            update(calibrations)
            .where(*mine, calibrations.c.number == number)
            .values(undone=datetime.now(UTC), undone_by=actor)
        )


def everywhere(session: Session, tables: Tables) -> list[Kept]:
    """The watches of all tenants, for metrics without a word of theirs."""
    query = across_tenants(select(tables.watches), "a metric without a word of anybody")
    return [_kept(row) for row in session.execute(query)]


def _kept(row: Any) -> Kept:
    values = dict(row._mapping)
    del values["tenant"]
    return Kept(**{**values, "doubted": tuple(values["doubted"])})


def _values(kept: Kept) -> dict[str, Any]:
    return {**vars(kept), "terms": kept.terms or {}, "doubted": list(kept.doubted)}
