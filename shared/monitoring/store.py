"""Tables and queries of monitoring, for each service with a risk guarantee.

Each service has its own tables: `Tables.of` adds them to its metadata. The service defines a result
(a clause, a finding) and a unit (a document, a filing).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
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

from shared.messaging.tables import Number, Time
from shared.monitoring.drift import Drift
from shared.monitoring.refit import DecidedResult
from shared.monitoring.sequential_test import Check, SequentialTest, acceptance_belief
from shared.monitoring.tenant_calibration import TenantCalibration
from shared.storage.tenant_isolation import across_tenants
from shared.storage.upsert import insert_new


@dataclass(frozen=True)
class Tables:
    """The tables of one service."""

    checks: Table
    figures: Table
    monitors: Table
    notices: Table
    calibrations: Table

    @classmethod
    def of(cls, metadata: MetaData, result: str, unit: str, *more: Column[Any]) -> Self:
        """Define the tables in the metadata of a service.

        Args:
            metadata: of the service.
            result: column name of result ids, such as `clause_id`.
            unit: column name of unit ids, such as `document_id`.
            more: further columns of `checks`.
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
                Column("guarantee", String(200), nullable=False),
                Column("share", Float, nullable=False),
                Column("sampled", Boolean, nullable=False),
                Column("wrong", Boolean),
                Column("position", Integer),
                *more,
                Index("checks_document", "tenant", "document_id"),
                Index("checks_guarantee", "tenant", "adapter", "guarantee", "position"),
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
                Index("figures_values", "tenant", "adapter", "reference", "name", "value"),
                Index("figures_newest", "tenant", "adapter", "reference", "name", "time"),
            ),
            Table(
                "monitors",
                metadata,
                Column("tenant", String(64), primary_key=True),
                Column("adapter", String(64), primary_key=True),
                Column("guarantee", String(200), nullable=False),
                Column("terms", JSON, nullable=False),
                Column("evidence", JSON(none_as_null=True)),
                Column("documents", Integer, nullable=False),
                Column("step", Integer, nullable=False),
                Column("suspended", JSON, nullable=False),
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
                Index("notices_newest", "tenant", "number"),
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


RemainingBelief = Callable[[Collection[str]], float | None]
"""Returns the acceptance threshold without the suspended categories; None if it is unknown."""


@dataclass(frozen=True)
class MonitoringState:
    """The stored monitoring of one specialist of a tenant."""

    adapter: str
    guarantee: str = ""
    terms: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    documents: int = 0
    step: int = 0
    suspended: tuple[str, ...] = ()
    reference: str = ""
    drift: Mapping[str, Any] | None = None
    drifted: bool = False
    stability: float | None = None

    @property
    def test(self) -> SequentialTest | None:
        """The test of the guarantee with its evidence; None before a guarantee was made."""
        if not self.terms:
            return None
        start = SequentialTest(**self.terms)
        return start.with_json(self.evidence) if self.evidence else start

    @property
    def remaining_belief(self) -> float:
        """The stored threshold without suspended categories; 0 if it is unknown or there are none.

        A guarantee covers all categories together. Without those that were right most often, the
        others may exceed the stated risk at the same threshold. So the calibration set must certify
        the remaining categories alone, which can raise the threshold.
        """
        remaining = (self.evidence or {}).get("remaining")
        if not remaining or not self.suspended or remaining["without"] != sorted(self.suspended):
            return 0.0
        return float(remaining["belief"])

    def with_remaining_belief(self, belief: float | None) -> MonitoringState:
        """Store the threshold without suspended categories for people; routing has its own."""
        test = self.test
        if belief is None or test is None or not self.suspended:
            return self
        remaining = {"without": sorted(self.suspended), "belief": belief}
        return replace(self, evidence={**(self.evidence or test.to_json()), "remaining": remaining})

    @property
    def belief_now(self) -> float | None:
        """The acceptance threshold in force; None: nothing is accepted."""
        test = self.test
        return acceptance_belief(test.belief, self.step, self.remaining_belief) if test else None

    @property
    def drift_test(self) -> Drift:
        """The test for a change of the documents."""
        return Drift.of_json(self.drift) if self.drift else Drift.none(())


@dataclass(frozen=True)
class AuditSample:
    """A result that a person is asked about: an audit sample, or one that was not accepted."""

    result_id: str
    document_id: str
    adapter: str
    version: str
    category: str
    confidence: float
    belief: float
    guarantee: str
    share: float
    """The sampling probability."""
    sampled: bool
    wrong: bool | None = None
    position: int | None = None
    """The number of its document in the test of the guarantee, once it counts there."""
    family: str | None = None
    """The exchangeable group, if it is not the document."""

    @property
    def decided_result(self) -> DecidedResult:
        """The sample for a calibration, after the decision."""
        group, wrong = self.family or self.document_id, bool(self.wrong)
        return DecidedResult(group, self.category, self.confidence, wrong, 1.0 / self.share)

    @property
    def check(self) -> Check:
        """The sample for the test of the guarantee, after the decision."""
        return Check(self.category, self.belief, bool(self.wrong))


@dataclass(frozen=True)
class MonitoringNotice:
    """An event of monitoring, for people to read."""

    adapter: str
    kind: str
    """By a test: `risk`, `category`, `drift`; by a person: `calibrated`, `undone`, `loosened`."""
    about: str
    text: str
    actor: str = ""
    time: datetime | None = None


class MonitoringStore(ABC):
    """Monitoring of one tenant in one service."""

    tables: ClassVar[Tables]

    def __init__(self, session: Session, tenant: str) -> None:
        self.session = session
        self.tenant = tenant

    def state(self, adapter: str, *, lock: bool = False) -> MonitoringState:
        """The state of a specialist; `lock` locks its row for this transaction."""
        monitors = self.tables.monitors
        if lock:
            values = _values(MonitoringState(adapter))
            insert_new(self.session, monitors, tenant=self.tenant, **values)
        query = select(monitors).where(*self._of(monitors, adapter=adapter))
        row = self.session.execute(query.with_for_update() if lock else query).one_or_none()
        return _state(row) if row else MonitoringState(adapter)

    def states(self) -> list[MonitoringState]:
        """The states of all specialists, sorted by name."""
        monitors = self.tables.monitors
        query = select(monitors).where(*self._of(monitors)).order_by(monitors.c.adapter)
        return [_state(row) for row in self.session.execute(query)]

    def save(self, state: MonitoringState) -> None:
        """Store a state that was read with `lock`."""
        monitors = self.tables.monitors
        mine = self._of(monitors, adapter=state.adapter)
        self.session.execute(update(monitors).where(*mine).values(**_values(state)))

    def tenant_calibration(self, adapter: str, version: str) -> TenantCalibration:
        """The calibration of this tenant for a version of a specialist."""
        state, row = self.state(adapter), self.calibration(adapter)
        mine = row if row and row.version == version else None
        return TenantCalibration(
            mine.data if mine else None,
            mine.number if mine else 0,
            state.step,
            frozenset(state.suspended),
            state.drifted,
        )

    def _of(self, table: Table, **values: Any) -> list[ColumnElement[bool]]:
        """Conditions for the rows of this tenant with such values."""
        return [table.c.tenant == self.tenant, *(table.c[n] == v for n, v in values.items())]

    # Checks

    def document_samples(self, document_id: str, adapter: str) -> list[AuditSample]:
        """The audit samples of a document, in a fixed order."""
        return self._samples(document_id=document_id, adapter=adapter, sampled=True)

    def find(self, result_id: str) -> AuditSample | None:
        """The sample of a result, if there is one."""
        return next(iter(self._samples(result_id=result_id)), None)

    def _samples(self, *more: ColumnElement[bool], **values: Any) -> list[AuditSample]:
        checks = self.tables.checks
        query = select(checks).where(*self._of(checks, **values), *more)
        rows = self.session.execute(query.order_by(checks.c.document_id, checks.c.result_id))
        return [self._sample(row) for row in rows]

    def _sample(self, row: Any) -> AuditSample:
        columns = (c for c in self.tables.checks.columns if c.key != "tenant")
        return AuditSample(**{column.key: row._mapping[column] for column in columns})

    def _row(self, sample: AuditSample) -> dict[str, Any]:
        checks = self.tables.checks
        return {name: value for name, value in vars(sample).items() if name in checks.c}

    def save_sample(self, sample: AuditSample) -> None:
        """Store a sample, or replace it."""
        checks = self.tables.checks
        mine = self._of(checks, result_id=sample.result_id)
        self.session.execute(delete(checks).where(*mine))
        self.session.execute(insert(checks).values(tenant=self.tenant, **self._row(sample)))

    def add_sample(self, sample: AuditSample) -> None:
        """Store a new sample. A known one gets the version and confidence of this sample.

        If the same version sampled it before, the larger sampling probability stays. The guarantee
        that it counts for stays too.
        """
        checks = self.tables.checks
        if insert_new(self.session, checks, tenant=self.tenant, **self._row(sample)):
            return
        known = self.find(sample.result_id)
        same = known is not None and known.version == sample.version
        share = max(known.share, sample.share) if known and same else sample.share
        now = {"version": sample.version, "confidence": sample.confidence, "share": share}
        mine = self._of(checks, result_id=sample.result_id)
        self.session.execute(update(checks).where(*mine).values(**now))

    def delete_undecided(self, document_id: str, keep: Sequence[str] = ()) -> None:
        """Delete the undecided samples of a document, except those with ids in `keep`."""
        checks = self.tables.checks
        undecided = checks.c.wrong.is_(None), checks.c.result_id.not_in(keep)
        mine = self._of(checks, document_id=document_id)
        self.session.execute(delete(checks).where(*mine, *undecided))

    def samples(self, adapter: str, version: str) -> list[AuditSample]:
        """All samples of a version of a specialist."""
        return self._samples(adapter=adapter, version=version)

    def decided_samples(self, adapter: str, version: str) -> list[AuditSample]:
        """The decided samples of a version of a specialist."""
        decided = self.tables.checks.c.wrong.is_not(None)
        return self._samples(decided, adapter=adapter, version=version)

    def decisions(self, document_id: str | None = None) -> dict[str, AuditSample]:
        """All decided samples (of one document), by result id, of any version."""
        mine = {} if document_id is None else {"document_id": document_id}
        samples = self._samples(self.tables.checks.c.wrong.is_not(None), **mine)
        return {sample.result_id: sample for sample in samples}

    def counted_checks(self, adapter: str, guarantee: str) -> list[list[Check]]:
        """The checks that count for a guarantee, by document in order."""
        checks = self.tables.checks
        query = select(checks).where(*self._counted(adapter, guarantee))
        documents: dict[int, list[Check]] = {}
        for row in self.session.execute(query.order_by(checks.c.position, checks.c.result_id)):
            documents.setdefault(row.position, []).append(self._sample(row).check)
        return list(documents.values())

    def _counted(self, adapter: str, guarantee: str) -> list[ColumnElement[bool]]:
        checks = self.tables.checks
        mine = self._of(checks, adapter=adapter, guarantee=guarantee)
        return [*mine, checks.c.position.is_not(None)]

    def close_guarantee(self, adapter: str, guarantee: str) -> None:
        """Detach all checks from a guarantee. Decisions stay."""
        self._detach(self._of(self.tables.checks, adapter=adapter, guarantee=guarantee))

    def discard_counted(
        self, adapter: str, guarantee: str, categories: Sequence[str] | None = None
    ) -> None:
        """Detach the counted checks (of some categories) from a guarantee. Decisions stay.

        Checks of partly decided documents still count later.
        """
        counted = self._counted(adapter, guarantee)
        if categories is not None:
            counted.append(self.tables.checks.c.category.in_(categories))
        self._detach(counted)

    def _detach(self, which: Sequence[ColumnElement[bool]]) -> None:
        values = {"guarantee": "", "position": None}
        self.session.execute(update(self.tables.checks).where(*which).values(**values))

    @abstractmethod
    def count_accepted(self) -> dict[str, int]:
        """How many results were accepted automatically, by specialist."""

    # Figures of documents

    def add_figure(self, adapter: str, unit: str, reference: str, name: str, value: float) -> bool:
        """Store a figure of a unit; False if it exists already."""
        mine = {"tenant": self.tenant, "adapter": adapter, "unit_id": unit, "name": name}
        new = {"reference": reference, "value": value, "time": datetime.now(UTC)}
        return insert_new(self.session, self.tables.figures, **mine, **new)

    def has_other_version(self, adapter: str, units: Sequence[str], reference: str) -> bool:
        """Whether some of these units have figures of another version or calibration.

        The part of a reference after a slash does not count.
        """
        figures = self.tables.figures
        mine = self._of(figures, adapter=adapter)
        query = select(figures.c.reference).distinct().where(*mine, figures.c.unit_id.in_(units))
        references = self.session.execute(query).scalars()
        return any(r.partition("/")[0] != reference.partition("/")[0] for r in references)

    def rank_counts(
        self, adapter: str, reference: str, name: str, value: float
    ) -> tuple[int, int, int]:
        """How many stored figures are below a value, how many equal it, and how many exist."""
        figures = self.tables.figures
        below = func.count().filter(figures.c.value < value)
        equal = func.count().filter(figures.c.value == value)
        mine = self._of(figures, adapter=adapter, reference=reference, name=name)
        row = self.session.execute(select(below, equal, func.count()).where(*mine)).one()
        return int(row[0]), int(row[1]), int(row[2])

    def last_figures(self, adapter: str, reference: str, name: str, most: int) -> list[float]:
        """The newest figures."""
        figures = self.tables.figures
        mine = self._of(figures, adapter=adapter, reference=reference, name=name)
        query = select(figures.c.value).where(*mine).order_by(figures.c.time.desc()).limit(most)
        return [float(value) for value in self.session.execute(query).scalars()]

    # Notices and calibrations

    def add_notice(self, notice: MonitoringNotice) -> None:
        """Store a notice."""
        values = {**vars(replace(notice, time=notice.time or datetime.now(UTC)))}
        self.session.execute(insert(self.tables.notices).values(tenant=self.tenant, **values))

    def newest_notices(self, most: int) -> list[MonitoringNotice]:
        """The newest notices first."""
        notices = self.tables.notices
        query = select(notices).where(*self._of(notices)).order_by(notices.c.number.desc())
        return [
            MonitoringNotice(row.adapter, row.kind, row.about, row.text, row.actor, row.time)
            for row in self.session.execute(query.limit(most))
        ]

    def calibration(self, adapter: str) -> Any | None:
        """The newest calibration of this tenant that is not undone."""
        calibrations = self.tables.calibrations
        mine = self._of(calibrations, adapter=adapter)
        query = select(calibrations).where(*mine, calibrations.c.undone.is_(None))
        newest = query.order_by(calibrations.c.number.desc()).limit(1)
        return self.session.execute(newest).one_or_none()

    def calibrations(self, adapter: str) -> list[Any]:
        """All calibrations of this tenant, undone ones included, newest first."""
        calibrations = self.tables.calibrations
        query = select(calibrations).where(*self._of(calibrations, adapter=adapter))
        return list(self.session.execute(query.order_by(calibrations.c.number.desc())))

    def add_calibration(
        self, adapter: str, version: str, data: bytes, report: Mapping[str, Any], actor: str
    ) -> int:
        """Store a calibration, which is in force from now on. Returns its number."""
        before = self.state(adapter, lock=True)
        number = 1 + max((row.number for row in self.calibrations(adapter)), default=0)
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
                before={
                    "step": before.step,
                    "suspended": list(before.suspended),
                    "drifted": before.drifted,
                },
            )
        )
        return number

    def undo_calibration(self, adapter: str, number: int, actor: str) -> None:
        """Mark a calibration as undone."""
        calibrations = self.tables.calibrations
        mine = self._of(calibrations, adapter=adapter, number=number)
        values = {"undone": datetime.now(UTC), "undone_by": actor}
        self.session.execute(update(calibrations).where(*mine).values(**values))


def all_tenants(session: Session, tables: Tables) -> list[tuple[str, MonitoringState]]:
    """The states of all tenants, each with its tenant, for metrics."""
    query = across_tenants(select(tables.monitors), "metrics without text of documents")
    return [(row.tenant, _state(row)) for row in session.execute(query)]


def tenants_in_doubt(session: Session, tables: Tables, until: datetime) -> set[tuple[str, str]]:
    """Tenants and specialists with an alarm about a guarantee, unless a person loosened it since.

    Args:
        until: alarms from this time on do not count.
    """
    columns = (tables.notices.c[name] for name in ("tenant", "adapter", "kind", "time"))
    query = select(*columns).order_by(tables.notices.c.number)
    found = set[tuple[str, str]]()
    for row in session.execute(across_tenants(query, "metrics without text of documents")):
        if row.kind in ("calibrated", "loosened"):
            found.discard((row.tenant, row.adapter))
        elif row.kind != "drift" and row.time < until:
            found.add((row.tenant, row.adapter))
    return found


def _state(row: Any) -> MonitoringState:
    values = dict(row._mapping)
    del values["tenant"]
    return MonitoringState(**{**values, "suspended": tuple(values["suspended"])})


def _values(state: MonitoringState) -> dict[str, Any]:
    return {**vars(state), "terms": state.terms or {}, "suspended": list(state.suspended)}
