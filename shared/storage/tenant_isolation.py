"""The one place that keeps the rows of tenants apart: it looks at every statement before a database
gets it.

Rows of tenants are those of a table with a column `tenant`. A SELECT, UPDATE or DELETE has to say
whose it means of each such table that it names, in a condition that holds for every row: the column
equals a value, or the same column of a table of which that is so. A statement that does not is an
error, in tests and in production, whatever it would have found. All tenants that one statement
names have to be the same one, and that of the request or event in hand (`shared.tenancy`); so has
that of every row which is inserted. No row goes from one tenant to another.

What has to be asked of all tenants is marked, with its reason, by `across_tenants`; the list of
these stands in `tests/architecture/test_tenants.py`, with that of the tables without a tenant.

What a statement is found to be is remembered beside its text, which SQLAlchemy keeps for all of one
form: only the first one is taken apart.
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
"""The column by which a row is a tenant's."""
ACROSS = "across_tenants"
"""The execution option of statements that mean all tenants; its value says why."""
_ROWS = re.compile(r"\b(from|into|update|join|delete|truncate|copy)\b", re.IGNORECASE)
"""Words by which SQL names a table whose rows it reads or changes."""

S = TypeVar("S", bound=Executable)


@dataclass(frozen=True)
class _Form:
    """What a statement was found to be."""

    names: tuple[str, ...]
    """Of its parameters with which tenants are compared."""
    writes: bool
    """Whether it writes rows of tenants: `tenant` of its parameters is whose they are."""


_forms: WeakKeyDictionary[Any, _Form] = WeakKeyDictionary()
"""By the compiled statement, which SQLAlchemy keeps for all of one form."""


def across_tenants(statement: S, why: str) -> S:
    """The statement, as one that means rows of all tenants.

    Args:
        why: what for; it stands in the list of these.
    """
    assert why
    return statement.execution_options(**{ACROSS: why})


def guard(engine: Engine) -> None:
    """Hold every statement that goes through an engine against the rules above."""
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
    """Take a statement apart. Raises CrossesTenants where it does not say whose rows it means."""
    statement = compiled.statement
    if statement is None or isinstance(statement, ExecutableDDLElement):
        return _Form((), writes=False)
    found: list[BindParameter[Any]] = []
    _look(statement, (), found)
    name_of = {one.key: name for one, name in compiled.bind_names.items()}
    writes = isinstance(statement, Insert | Update) and _has_tenants(statement.table)
    return _Form(tuple({name_of[one.key]: None for one in found}), writes)


def _look(element: Any, around: tuple[FromClause, ...], found: list[Any]) -> None:
    """Look at a statement and all that lies in it.

    Args:
        around: what the statements around it read, of which each has its tenant.
        found: gets the values that tenants are compared with.
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
    if around and len(read) > 1:  # as SQLAlchemy does: those of the statement around stay its own
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
    """Raise CrossesTenants for one that has words before its table: SQLite's OR REPLACE removes
    rows of whomever.
    """
    if statement._prefixes and _has_tenants(statement.table):
        raise CrossesTenants(f"rows of {_called(statement.table)} are changed without a prefix")


def _must_be_plain(
    table: FromClause, values: Mapping[Any, Any], found: list[BindParameter[Any]]
) -> None:
    """Note the tenant that rows get. Raises CrossesTenants where it is no plain value."""
    for column, one in values.items():
        if not _has_tenants(table) or _name_of(column) != COLUMN:
            continue
        if not isinstance(one, BindParameter):
            raise CrossesTenants(f"whose a row of {_called(table)} is, is given as a plain value")
        found.append(one)


def _must_change_its_own(table: FromClause, conflict: Any) -> None:
    """Raise CrossesTenants where an INSERT changes the row that is there, unless that is one of the
    same tenant, by its key, and stays that.
    """
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
    """Raise CrossesTenants unless the tenant of each table that is read is said."""
    needing = [leaf for one in read for leaf in _leaves(one) if _has_tenants(leaf)]
    if not needing:
        return
    known = [one for one in around if one not in needing]  # it is read anew here
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
    """What one condition says of tenants.

    Args:
        narrowed: the tables that it takes rows from, if those of all others stay: it is the
            condition of an outer join.
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
    """What all has to hold. Raises CrossesTenants for one in text, which may hold an OR."""
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
    """The table whose column of tenants something is; None if it is none."""
    if isinstance(element, ColumnClause) and element.name == COLUMN and not element.is_literal:
        return element.table
    return None


def _leaves(one: FromClause) -> Iterator[FromClause]:
    """What a join joins."""
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
    """Whether it is a table with rows of tenants, by whatever name."""
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
            "a statement in text can't be held against whose rows it means: write it with tables,"
            " or say by across_tenants why it means those of all"
        )
