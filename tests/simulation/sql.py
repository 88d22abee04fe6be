"""The shipped SQL, run from its own text: parsed, turned into Python once, and kept by text."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlglot import exp, parse_one

from tests.simulation.database import Row, Server, Table, Transaction
from tests.simulation.sql_expressions import BINARY, Unsupported, Writer

Parameters = dict[str, Any]
Plan = Callable[[Server, Transaction, Parameters], "Result"]


@dataclass(slots=True)
class Result:
    """What a statement answers."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    status: str = ""


class _Down:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Down") -> bool:
        return bool(other.value < self.value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)')
_ELEMENTS: dict[str, Callable[[str], Any]] = {
    "bigint": int,
    "smallint": int,
    "timestamptz": datetime.fromisoformat,
    "bytea": lambda text: bytes.fromhex(text.removeprefix("\\x")),
}


def _array(value: Any, kind: str) -> list[Any]:
    """Return an array that was bound as a list or as its literal."""
    if not isinstance(value, str):
        return list(value)
    read = _ELEMENTS.get(kind, str)
    found = []
    for quoted, plain in _ELEMENT.findall(value):
        is_null = plain.upper() == "NULL"
        found.append(None if is_null else read(plain or re.sub(r"\\(.)", r"\1", quoted)))
    return found


def _int(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else int(value)


def _coalesce(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _locks(server: Server) -> Iterator[Row]:
    for (first, second), holder in server.advisory.items():
        yield ("advisory", 1, first, second, 2, holder.pid, "ExclusiveLock", True, None)
    for transaction in server.active:
        if transaction.xid is not None:
            pid = transaction.session.pid
            yield ("transactionid", None, None, None, None, pid, "ExclusiveLock", True, transaction.xid)


def _activity(server: Server) -> Iterator[Row]:
    for session in server.sessions.values():
        transaction = session.transaction
        if session.is_busy or (transaction is not None and transaction.waiting_for is not None):
            yield (session.pid, session.name, "active", "IO" if session.is_busy else "Lock")
        else:
            yield (session.pid, session.name, "idle in transaction" if transaction else "idle", "ClientRead")


VIEWS: dict[str, tuple[list[str], Callable[[Server], Iterator[Row]]]] = {
    "pg_locks": (
        ["locktype", "database", "classid", "objid", "objsubid", "pid", "mode", "granted", "transactionid"],
        _locks,
    ),
    "pg_database": (["oid", "datname"], lambda server: iter([(1, "openbell")])),
    "pg_stat_activity": (["pid", "application_name", "state", "wait_event"], _activity),
    "pg_control_system": (["system_identifier"], lambda server: iter([("7312345678901234567",)])),
}


def _epoch(value: datetime | timedelta) -> float:
    span = value - datetime(1970, 1, 1, tzinfo=UTC) if isinstance(value, datetime) else value
    return span.total_seconds()


GLOBALS: dict[str, Any] = {
    "_Down": _Down,
    "_text": _text,
    "_int": _int,
    "_array": _array,
    "_coalesce": _coalesce,
    "_epoch": _epoch,
    "_islice": islice,
    "_seconds": lambda seconds: timedelta(seconds=seconds),
    "Result": Result,
}
COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
AGGREGATES: dict[type, str] = {
    exp.Count: "len(group)",
    exp.Max: "max((row[{}] for row in group), default=None)",
    exp.Min: "min((row[{}] for row in group), default=None)",
    exp.GroupConcat: "(b''.join([row[{}] for row in group]) if group else None)",
}


@dataclass(slots=True)
class Source:
    """One thing that rows come from: a table, a view of the catalogue, a function, a sub-select."""

    alias: str
    columns: list[str]
    rows: str
    variable: str
    on: str = ""
    is_optional: bool = False
    key: list[str] | None = None
    """What a scan orders its rows by, after what the conditions fix."""


class Compiler:
    """Turns one statement into one Python function over the schema's tables."""

    def __init__(self, tables: dict[str, Table]) -> None:
        self.tables = tables
        self._variables = 0
        self._known: dict[str, list[str]] = {}

    def compile(self, text: str) -> str:
        """Return the source of ``run(s, t, p)``."""
        tree = parse_one(text, read="postgres")
        first = tree.args.get("with_")
        lines = [line for part in (first.expressions if first else []) for line in self._known_add(part)]
        return "\n".join(["def run(s, t, p):", *("    " + line for line in [*lines, *self._statement(tree)])])

    def _known_add(self, part: exp.CTE) -> list[str]:
        """Return the lines that work out one part of a WITH."""
        inner = [f"def {part.alias}():", *("    " + line for line in self._statement(part.this))]
        returning = part.this.args.get("returning")
        told = part.this.selects if isinstance(part.this, exp.Select) else returning.expressions
        self._known[part.alias] = [column.alias_or_name for column in told]
        return [*inner, f"{part.alias} = {part.alias}()"]

    def _statement(self, tree: exp.Expression) -> list[str]:
        kinds: dict[type, Callable[[Any], list[str]]] = {
            exp.Select: self._select, exp.Update: self._update, exp.Insert: self._insert,
            exp.Delete: self._delete,
        }  # fmt: skip
        write = kinds.get(type(tree))
        if write is None:
            raise Unsupported(tree.sql())
        return write(tree)

    # -- rows to read ----------------------------------------------------------------------------------------

    def _variable(self) -> str:
        self._variables += 1
        return f"r{self._variables}"

    def _source(self, node: exp.Expression, outer: list[Source], where: exp.Expression | None) -> Source:
        alias = node.alias_or_name
        names = [column.name for column in (node.args["alias"].columns if node.args.get("alias") else [])]
        variable = self._variable()
        if isinstance(node, exp.Subquery):
            columns = names or [part.alias_or_name for part in node.this.selects]
            return Source(alias, columns, self._rows(node.this, outer), variable)
        if isinstance(node, exp.Table) and node.name in self._known:
            return Source(alias, names or self._known[node.name], f"{node.name}.rows", variable)
        if isinstance(node, exp.Unnest):
            arrays = [Writer(self._resolver(outer), self._refuse).write(part) for part in node.expressions]
            return Source(alias, names or [alias], f"zip({', '.join(arrays)})", variable)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
            columns, _ = VIEWS.get(node.this.name, (None, None))
            if columns is None:
                raise Unsupported(node.sql())
            return Source(alias, names or columns, f"_view_{node.this.name}(s)", variable)
        if isinstance(node, exp.Table) and node.name in VIEWS:
            return Source(alias, VIEWS[node.name][0], f"_view_{node.name}(s)", variable)
        if isinstance(node, exp.Table) and node.name in self.tables:
            table = self.tables[node.name]
            low, prefix = self._range(table, alias, where, outer)
            rows = f"t.scan(s.tables[{node.name!r}]{low})"
            key = [table.columns[index] for index in table.key[prefix:]]
            return Source(alias, table.columns, rows, variable, key=key)
        raise Unsupported(node.sql())

    def _range(
        self, table: Table, alias: str, where: exp.Expression | None, outer: list[Source]
    ) -> tuple[str, int]:
        """Return the arguments of a scan that begins where the conditions say, and how much they fix."""
        fixed: dict[str, str] = {}
        least: dict[str, str] = {}
        writer = Writer(self._resolver(outer), self._refuse)
        for part in where.flatten() if isinstance(where, exp.And) else [where] if where else []:
            part = part.unnest()
            try:
                left = part.this
                if isinstance(left, exp.Tuple) and isinstance(part, exp.GT | exp.GTE):
                    for column, value in zip(left.expressions, part.expression.expressions, strict=True):
                        least[column.name] = writer.write(value)
                elif isinstance(left, exp.Column) and left.table in ("", alias):
                    if isinstance(part, exp.EQ) and not isinstance(part.expression, exp.Any):
                        fixed[left.name] = writer.write(part.expression)
                    elif isinstance(part, exp.GT | exp.GTE):
                        least[left.name] = writer.write(part.expression)
            except (Unsupported, AttributeError, KeyError):
                continue
        low: list[str] = []
        prefix = 0
        for index in table.key:
            name = table.columns[index]
            if name in fixed and prefix == len(low):
                low.append(fixed[name])
                prefix += 1
            elif name in least:
                low.append(least[name])
            else:
                break
        return (f", ({''.join(part + ', ' for part in low)}), {prefix}" if low else ""), prefix

    def _refuse(self, node: exp.Expression) -> str:
        raise Unsupported(node.sql())

    def _resolver(self, sources: list[Source]) -> Callable[[str, str], str]:
        def column(table: str, name: str) -> str:
            for source in reversed(sources):
                if table in ("", source.alias) and name in source.columns:
                    return f"{source.variable}[{source.columns.index(name)}]"
            raise Unsupported(f"no column {table}.{name}")

        return column

    def _writer(self, sources: list[Source]) -> Writer:
        return Writer(self._resolver(sources), lambda node: self._rows(node, sources))

    def _sources(
        self, tree: exp.Expression, outer: list[Source], where: exp.Expression | None
    ) -> list[Source]:
        sources = list(outer)
        first = tree.args.get("from_")
        if first is not None:
            sources.append(self._source(first.this, sources, where))
        for join in tree.args.get("joins") or []:
            node = join.this
            if isinstance(node, exp.Lateral):
                alias, node = node.args["alias"], node.this
                node.set("alias", alias)
            source = self._source(node, sources, where)
            sources.append(source)
            on = join.args.get("on")
            source.on = self._writer(sources).write(on) if on is not None else ""
            source.is_optional = join.side == "LEFT"
        return sources[len(outer) :]

    def _loops(self, sources: list[Source], where: str, inner: list[str]) -> list[str]:
        lines: list[str] = []
        depth = 0
        for source in sources:
            rows = source.rows
            if source.on:
                rows = f"[{source.variable} for {source.variable} in {rows} if {source.on}]"
                if source.is_optional:
                    rows = f"({rows} or [{(None,) * len(source.columns)!r}])"
            lines.append("    " * depth + f"for {source.variable} in {rows}:")
            depth += 1
        if where:
            lines.append("    " * depth + f"if {where}:")
            depth += 1
        return lines + ["    " * depth + line for line in inner]

    def _rows(self, tree: exp.Expression, outer: list[Source]) -> str:
        """Return a Python expression for the rows of a simple sub-select."""
        if not isinstance(tree, exp.Select):
            raise Unsupported(tree.sql())
        condition = tree.args["where"].this if tree.args.get("where") else None
        sources = self._sources(tree, outer, condition)
        writer = self._writer([*outer, *sources])
        wanted = [part.unalias() for part in tree.selects]
        where, constants = self._where(condition, writer)
        loops = " ".join(f"for {s.variable} in {s.rows}{f' if {s.on}' if s.on else ''}" for s in sources)
        aggregate = [part for part in wanted if type(part) in AGGREGATES]
        if aggregate:
            return constants.format(self._aggregated(wanted, writer, f"{loops}{where}"))
        row = writer._many([exp.Literal.number(1) if isinstance(p, exp.Star) else p for p in wanted])
        rows = f"[{row} {loops}{where}]" if sources else f"[{row}]"
        order, limit = tree.args.get("order"), tree.args.get("limit")
        if order is not None and self._is_in_order(order, sources):
            if limit is None:
                return constants.format(rows)
            return constants.format(f"list(_islice(({rows[1:-1]}), {writer.write(limit.expression)}))")
        if order is not None:
            marks = self._order(order, writer)
            pairs = f"[({marks}, {row}) {loops}{where}]"
            rows = f"[pair[1] for pair in sorted({pairs}, key=lambda pair: pair[0])]"
        return constants.format(f"{rows}[:{writer.write(limit.expression)}]" if limit is not None else rows)

    def _where(self, condition: exp.Expression | None, writer: Writer) -> tuple[str, str]:
        """Return the condition, and a form in which what is the same for every row is worked out once."""
        if condition is None:
            return "", "{}"
        names, values, parts = [], [], []
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            right = part.expression if type(part) in COMPARISONS else None
            if right is None or right.find(exp.Column, exp.Select, exp.Any) is not None:
                parts.append(writer.write(part))
                continue
            names.append(self._variable())
            values.append(writer.write(right))
            parts.append(f"({writer.write(part.this)} {BINARY[type(part)]} {names[-1]})")
        where = f" if ({' and '.join(parts)})"
        if not names:
            return where, "{}"
        return where, f"(lambda {', '.join(names)}: {{}})({', '.join(values)})"

    def _aggregated(self, wanted: list[exp.Expression], writer: Writer, loops: str) -> str:
        parts, inner = [], []
        for index, part in enumerate(wanted):
            if type(part) not in AGGREGATES:
                raise Unsupported(part.sql())
            # The sources of an ordered aggregate here come in that order already.
            about = part.this.this if isinstance(part.this, exp.Order) else part.this
            inner.append("1" if isinstance(about, exp.Star) else writer.write(about))
            parts.append(AGGREGATES[type(part)].format(index))
        return f"[(lambda group: ({', '.join(parts)},))([({', '.join(inner)},) {loops}])]"

    def _is_in_order(self, order: exp.Order, sources: list[Source]) -> bool:
        """Whether a scan gives its rows in this order by itself."""
        if len(sources) != 1 or sources[0].key is None:
            return False
        names = [part.this.name for part in order.expressions if not part.args.get("desc")]
        return len(names) == len(order.expressions) and names == sources[0].key[: len(names)]

    def _order(self, order: exp.Order, writer: Writer) -> str:
        marks = []
        for part in order.expressions:
            mark = writer.write(part.this)
            marks.append(f"_Down({mark})" if part.args.get("desc") else mark)
        return f"({', '.join(marks)},)"

    # -- statements ------------------------------------------------------------------------------------------

    def _select(self, tree: exp.Select) -> list[str]:
        lines = [f"rows = {self._rows(tree, [])}"]
        if tree.args.get("locks"):
            raise Unsupported(tree.sql())
        return [*lines, "return Result(rows, len(rows))"]

    def _returning(self, tree: exp.Expression, sources: list[Source]) -> str:
        returning = tree.args.get("returning")
        if returning is None:
            return ""
        return self._writer(sources)._many([part.unalias() for part in returning.expressions])

    def _changed(self, table: Table, target: Source, sets: dict[str, str]) -> str:
        parts = [sets.get(c, f"{target.variable}[{i}]") for i, c in enumerate(table.columns)]
        return f"({', '.join(parts)},)"

    def _update(self, tree: exp.Update) -> list[str]:
        table = self.tables[tree.this.name]
        where = tree.args["where"].this if tree.args.get("where") else None
        target = self._source(tree.this, [], where)
        sources = [target, *self._sources(tree, [target], where=None)]
        hoisted = [f"all_{other.variable} = list({other.rows})" for other in sources[1:]]
        for other in sources[1:]:
            other.rows = f"all_{other.variable}"
        writer = self._writer(sources)
        sets = {part.this.name: writer.write(part.expression) for part in tree.expressions}
        new = Source(target.alias, table.columns, "", "new")
        told = self._returning(tree, [*sources[1:], new])
        inner = [f"found.append(({target.variable}, {self._changed(table, target, sets)}))"]
        lines = [
            "found, rows, done = [], [], set()",
            *hoisted,
            *self._loops(sources, writer.write(where) if where is not None else "", inner),
            f"table = s.tables[{table.name!r}]",
            "for old, new in found:",
            "    if (key := table.key_of(old)) in done: continue",
            "    done.add(key)",
            "    if table.key_of(new) != key:",
            "        t.delete(table, key)",
            "        t.insert(table, new)",
            "    else:",
            "        t.put(table, new)",
        ]
        if told:
            lines.append(f"    rows.append({told})")
        return [*lines, "return Result(rows, len(done))"]

    def _delete(self, tree: exp.Delete) -> list[str]:
        table = self.tables[tree.this.name]
        where = tree.args["where"].this if tree.args.get("where") else None
        target = self._source(tree.this, [], where)
        writer = self._writer([target])
        return [
            "found = []",
            *self._loops(
                [target],
                writer.write(where) if where is not None else "",
                [f"found.append({target.variable})"],
            ),
            f"table = s.tables[{table.name!r}]",
            "for old in found: t.delete(table, table.key_of(old))",
            f"return Result([{self._returning(tree, [target]) or '()'} "
            f"for {target.variable} in found], len(found))",
        ]

    def _insert(self, tree: exp.Insert) -> list[str]:
        schema = tree.this
        target = schema.this if isinstance(schema, exp.Schema) else schema
        table = self.tables[target.name]
        names = (
            [part.name for part in schema.expressions] if isinstance(schema, exp.Schema) else table.columns
        )
        alias = target.alias_or_name
        if isinstance(tree.expression, exp.Values):
            writer = self._writer([])
            given = "[" + ", ".join(writer.write(part) for part in tree.expression.expressions) + "]"
        else:
            given = self._rows(tree.expression, [])
        at = {name: index for index, name in enumerate(names)}
        parts = [f"given[{at[c]}]" if c in at else f"_default(table, {c!r}, s, t)" for c in table.columns]
        new = Source(alias, table.columns, "", "new")
        lines = [
            f"table, rows, count = s.tables[{table.name!r}], [], 0",
            f"for given in {given}:",
            f"    new = ({', '.join(parts)},)",
            *("    " + line for line in self._conflict(tree, table, alias)),
            "    count += 1",
        ]
        told = self._returning(tree, [new])
        if told:
            lines.append(f"    rows.append({told})")
        return [*lines, "return Result(rows, count)"]

    def _conflict(self, tree: exp.Insert, table: Table, alias: str) -> list[str]:
        conflict = tree.args.get("conflict")
        if conflict is None:
            return ["t.insert(table, new)"]
        old = Source(alias, table.columns, "", "old")
        excluded = Source("excluded", table.columns, "", "new")
        lines = ["t.lock(table.name, table.key_of(new))", "old = t.get(table, table.key_of(new))"]
        if "NOTHING" in conflict.args["action"].name:
            return [*lines, "if old is not None: continue", "t.insert(table, new)"]
        writer = self._writer([excluded, old])
        sets = {part.this.name: writer.write(part.expression) for part in conflict.expressions}
        where = conflict.args.get("where")
        if where is not None:
            lines.append(f"if old is not None and not ({writer.write(where.this)}): continue")
        changed = self._changed(table, Source("", [], "", "old"), sets)
        return [
            *lines,
            "if old is None: t.insert(table, new)",
            "else:",
            f"    new = {changed}",
            "    t.put(table, new)",
        ]


def _default(table: Table, column: str, server: Server, transaction: Transaction) -> Any:
    value = table.defaults.get(column)
    return value(server, transaction) if callable(value) else value


GLOBALS["_default"] = _default
GLOBALS |= {f"_view_{name}": rows for name, (_, rows) in VIEWS.items()}


def numbered(text: str) -> str:
    """Name the positional parameters of a statement ``p0``, ``p1``, and so on."""
    parts = re.split(r"%s", text)
    return "".join(part + (f"%(p{n})s" if n < len(parts) - 1 else "") for n, part in enumerate(parts))


class Plans:
    """The plans of one schema, each made once for all runs."""

    def __init__(self, tables: dict[str, Table]) -> None:
        self.tables = tables
        self.plan = lru_cache(maxsize=None)(self._plan)

    def _plan(self, text: str) -> Plan:
        source = Compiler(self.tables).compile(numbered(text))
        names = dict(GLOBALS)
        exec(compile(source, f"<{text.strip()[:60]}>", "exec"), names)
        return names["run"]


def parameters_of(given: Any) -> Parameters:
    """Return a statement's parameters by name."""
    if given is None:
        return {}
    if isinstance(given, dict):
        return given
    return {f"p{index}": value for index, value in enumerate(given)}
