"""Keeps the rows of tenants apart: every statement is checked before it reaches a database.

Tables with a column `tenant` have rows of tenants. A SELECT, UPDATE or DELETE must state the tenant
of each such table. The condition must hold for every row: the column equals a value, or the tenant
column of a table with a stated tenant. Other statements are errors, in tests and in production,
whatever rows they would find. A statement may name only one tenant: that of the current request or
event (`shared.tenancy`). The same holds for inserted rows. No row changes its tenant.

`across_tenants` marks statements about all tenants, with a reason. They are listed in
`tests/architecture/test_tenants.py`, with the tables without a tenant.

SQLAlchemy caches one compiled statement for each form. The result of its check is kept with it, so
each form is checked once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Delete, Engine, Insert, Select, TextClause, Update, event
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.ddl import ExecutableDDLElement
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    ColumnClause,
    Grouping,
)
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    FromClause,
    FromGrouping,
    Join,
    NamedFromClause,
    TableClause,
)

from shared.tenancy import CrossesTenants, must_be_of

COLUMN = "tenant"
"""The column with the tenant of a row."""
ACROSS = "across_tenants"
"""The execution option of statements about all tenants; its value is the reason."""
_ROWS = re.compile(r"\b(from|into|update|join|delete|truncate|copy)\b", re.IGNORECASE)
"""SQL words before a table whose rows are read or changed."""

S = TypeVar("S", bound=Executable)


@dataclass(frozen=True)
class _Form:
    """The checked form of a statement."""

    names: tuple[str, ...]
    """Names of the parameters that tenants are compared with."""
    writes: bool
    """Whether it writes rows of tenants, with the tenant in the parameter `tenant`."""


_forms: WeakKeyDictionary[Any, _Form] = WeakKeyDictionary()
"""Checked forms by compiled statement, which SQLAlchemy caches."""


def across_tenants(statement: S, why: str) -> S:
    """Return the statement, marked as one about rows of all tenants.

    Args:
        why: the reason; `test_tenants.py` lists it.
    """
    assert why
    return statement.execution_options(**{ACROSS: why})


def guard(engine: Engine) -> None:
    """Check every statement of an engine by the rules above."""
    event.listen(engine, "before_cursor_execute", _hold)


def _hold(
    _connection: object, _cursor: object, _sql: str, _values: object, context: Any, _many: bool
) -> None:
    compiled = context.compiled
    if compiled is None or context.execution_options.get(ACROSS):
        return
    form = _forms.get(compiled)
    if form is None:
        form = _forms[compiled] = _form_of(compiled)
    tenants = {row[name] for row in context.compiled_parameters for name in form.names}
    if form.writes:
        tenants |= {row[COLUMN] for row in context.compiled_parameters if COLUMN in row}
    if len(tenants) > 1:
        raise CrossesTenants("a statement names rows of several tenants: nothing was done")
    for tenant in tenants:
        must_be_of(tenant, "rows")


def _form_of(compiled: Any) -> _Form:
    """Check a statement. Raises CrossesTenants if it does not state its tenants."""
    statement = compiled.statement
    if statement is None or isinstance(statement, ExecutableDDLElement):
        return _Form((), writes=False)
    found: list[BindParameter[Any]] = []
    _look(statement, (), found)
    name_of = {one.key: name for one, name in compiled.bind_names.items()}
    writes = isinstance(statement, Insert | Update) and _has_tenants(statement.table)
    return _Form(tuple({name_of[one.key]: None for one in found}), writes)


def _look(element: Any, around: tuple[FromClause, ...], found: list[Any]) -> None:
    """Check a statement and its parts.

    Args:
        around: tables of the surrounding statements, whose tenants are stated.
        found: receives the values that tenants are compared with.
    """
    if isinstance(element, TextClause):
        _must_name_no_table(element.text)
    elif isinstance(element, ColumnClause):
        if element.is_literal:
            _must_name_no_table(element.name)
    elif isinstance(element, TableClause | BindParameter):
        return
    elif isinstance(element, Select):
        _look_at_select(element, around, found)
    elif isinstance(element, Update | Delete):
        _look_at_change(element, around, found)
    elif isinstance(element, Insert):
        _look_at_insert(element, found)
    elif isinstance(element, AliasedReturnsRows):
        _look(element.element, (), found)
    else:
        for child in element.get_children():
            _look(child, around, found)


def _look_at_select(
    statement: Select[Any], around: tuple[FromClause, ...], found: list[Any]
) -> None:
    read = list(statement.get_final_froms())
    if around and len(read) > 1:  # as SQLAlchemy does: outer tables stay in the outer statement
        read = [one for one in read if one not in around]
    _must_name(read, statement.whereclause, around, found)
    for one in read:
        _look(one, (), found)
    inside = (*around, *(leaf for one in read for leaf in _leaves(one)))
    for child in statement.get_children():
        if not isinstance(child, NamedFromClause | Join | FromGrouping):
            _look(child, inside, found)
    for one in statement._independent_ctes:
        _look(one, (), found)


def _look_at_change(
    statement: Update | Delete, around: tuple[FromClause, ...], found: list[Any]
) -> None:
    _must_begin_plainly(statement)
    where = statement.whereclause
    read: list[FromClause] = [statement.table]
    for one in (*(where._from_objects if where is not None else ()), *_extra(statement)):
        if one not in read:
            read.append(one)
    _must_name(read, where, around, found)
    inside = (*around, *(leaf for one in read for leaf in _leaves(one)))
    values: Mapping[Any, Any] = {}
    if isinstance(statement, Update):
        values = statement._values or {}
        _must_be_plain(statement.table, values, found)
    after = (*statement._returning, statement._post_criteria_clause, *statement._independent_ctes)
    for child in (where, *values.values(), *after):
        if isinstance(child, ClauseElement):
            _look(child, inside, found)


def _look_at_insert(statement: Insert, found: list[Any]) -> None:
    table = statement.table
    values: Mapping[Any, Any] = statement._values or {}
    after = statement._post_values_clause
    if _has_tenants(table):
        if statement._multi_values or statement.select is not None:
            raise CrossesTenants(
                f"rows of {_called(table)} are inserted as parameters, so that it is seen whose"
                " they are"
            )
        _must_begin_plainly(statement)
        _must_be_plain(table, values, found)
        for one in visitors.iterate(after):
            _must_change_its_own(table, one)
    for child in (statement.select, *values.values(), *statement._independent_ctes):
        if isinstance(child, ClauseElement):
            _look(child, (), found)
    for child in (after, *statement._returning):
        if isinstance(child, ClauseElement):
            _look(child, (table,), found)


def _must_begin_plainly(statement: Insert | Update | Delete) -> None:
    """Raise CrossesTenants for words before the table: SQLite's OR REPLACE removes other rows."""
    if statement._prefixes and _has_tenants(statement.table):
        raise CrossesTenants(f"rows of {_called(statement.table)} are changed without a prefix")


def _must_be_plain(
    table: FromClause, values: Mapping[Any, Any], found: list[BindParameter[Any]]
) -> None:
    """Record the tenant of written rows. Raises CrossesTenants if it is no plain value."""
    for column, one in values.items():
        if not _has_tenants(table) or _name_of(column) != COLUMN:
            continue
        if not isinstance(one, BindParameter):
            raise CrossesTenants(f"whose a row of {_called(table)} is, is given as a plain value")
        found.append(one)


def _must_change_its_own(table: FromClause, conflict: Any) -> None:
    """Raise CrossesTenants if an upsert may change another tenant's row, or a row's tenant."""
    changed = getattr(conflict, "update_values_to_set", None)
    if changed is None:
        return
    key = [_name_of(one) for one in conflict.inferred_target_elements or ()]
    if COLUMN not in key or COLUMN in map(_name_of, changed):
        raise CrossesTenants(
            f"a row of {_called(table)} that is there already is found by a key with its tenant,"
            " and keeps it"
        )


def _must_name(
    read: Sequence[FromClause],
    where: ClauseElement | None,
    around: tuple[FromClause, ...],
    found: list[Any],
) -> None:
    """Raise CrossesTenants unless the tenant of each table is stated."""
    needing = [leaf for one in read for leaf in _leaves(one) if _has_tenants(leaf)]
    if not needing:
        return
    known = [one for one in around if one not in needing]  # read again here
    same: list[tuple[FromClause, FromClause]] = []
    for condition in _conditions(where):
        _note(condition, needing, None, known, same, found)
    for one in read:
        for join in _joins(one):
            narrowed = list(_leaves(join.right)) if join.isouter else None
            for condition in _conditions(None if join.full else join.onclause):
                _note(condition, needing, narrowed, known, same, found)
    while new := [to for of, to in same if of in known and to not in known]:
        known += new
    for leaf in needing:
        if leaf not in known:
            raise CrossesTenants(
                f"a statement does not say whose rows of {_called(leaf)} it means; one that means"
                " those of all tenants says so by across_tenants"
            )


def _note(
    condition: Any,
    needing: Sequence[FromClause],
    narrowed: Sequence[FromClause] | None,
    known: list[FromClause],
    same: list[tuple[FromClause, FromClause]],
    found: list[Any],
) -> None:
    """Record what one condition states about tenants.

    Args:
        narrowed: for the condition of an outer join, the only tables whose rows it limits.
    """
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return
    left, right = _bare(condition.left), _bare(condition.right)
    for one, other in ((left, right), (right, left)):
        table = _whose(one)
        if table is None or (narrowed is not None and table not in narrowed):
            continue
        if isinstance(other, BindParameter) and not other.expanding:
            if table in needing:
                known.append(table)
                found.append(other)
        elif (of := _whose(other)) is not None:
            same.append((of, table))


def _conditions(clause: Any) -> Iterator[Any]:
    """Yield conditions joined by AND. Raises CrossesTenants for text, which may have an OR."""
    clause = _bare(clause)
    if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for one in clause.clauses:
            yield from _conditions(one)
    elif isinstance(clause, TextClause) or (isinstance(clause, ColumnClause) and clause.is_literal):
        raise CrossesTenants("a condition on rows of tenants is not written as text")
    elif clause is not None:
        yield clause


def _bare(element: Any) -> Any:
    while isinstance(element, Grouping):
        element = element.element
    return element


def _whose(element: Any) -> FromClause | None:
    """Return the table of a tenant column; None for anything else."""
    if isinstance(element, ColumnClause) and element.name == COLUMN and not element.is_literal:
        return element.table
    return None


def _leaves(one: FromClause) -> Iterator[FromClause]:
    """Yield a join's tables."""
    if isinstance(one, FromGrouping):
        yield from _leaves(one.element)
    elif isinstance(one, Join):
        yield from _leaves(one.left)
        yield from _leaves(one.right)
    else:
        yield one


def _joins(one: FromClause) -> Iterator[Join]:
    if isinstance(one, FromGrouping):
        yield from _joins(one.element)
    elif isinstance(one, Join):
        yield one
        yield from _joins(one.left)
        yield from _joins(one.right)


def _has_tenants(one: FromClause) -> bool:
    """Whether it is a table with rows of tenants, or its alias."""
    table = one.element if isinstance(one, AliasedReturnsRows) else one
    return isinstance(table, TableClause) and COLUMN in table.c


def _extra(statement: Update | Delete) -> Iterable[FromClause]:
    return getattr(statement, "_extra_froms", ())


def _name_of(column: Any) -> str:
    return column if isinstance(column, str) else str(getattr(column, "name", ""))


def _called(one: FromClause) -> str:
    return str(getattr(one, "name", one))


def _must_name_no_table(words: str) -> None:
    if _ROWS.search(words):
        raise CrossesTenants(
            "the tenant of a statement in text can't be checked: write it with tables,"
            " or state in across_tenants why it needs the rows of all tenants"
        )
