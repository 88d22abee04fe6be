"""Expressions of the shipped SQL as Python source: what is not known here is refused, never guessed."""

from collections.abc import Callable
from typing import Any

from sqlglot import exp


class Unsupported(NotImplementedError):
    """The simulated server does not know this SQL; teach it, rather than let it pass."""


FUNCTIONS = {
    "next_id": "s.id_next()",
    "clock_timestamp": "s.now()",
    "now": "s.now()",
    "statement_timestamp": "s.now()",
    "transaction_timestamp": "s.now()",
    "pg_backend_pid": "t.session.pid",
    "pg_try_advisory_lock": "s.advisory_try(t.session, ({}, {}))",
    "pg_terminate_backend": "s.terminate({})",
    "pg_current_snapshot": "s",
    "pg_snapshot_xmin": "{}.xid_horizon()",
    "pg_snapshot_xmax": "({}.xids + 1)",
    "pg_current_xact_id": "t.xid_get()",
    "set_config": "{1}",
    "current_setting": "s.setting({})",
    "current_database": "'openbell'",
}
"""SQL function to Python source; ``s`` is the server, ``t`` the transaction."""

BINARY: dict[type, str] = {
    exp.EQ: "==", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
    exp.NullSafeEQ: "==", exp.NullSafeNEQ: "!=",
    exp.And: "and", exp.Or: "or", exp.Add: "+", exp.Sub: "-", exp.Mul: "*",
    exp.BitwiseLeftShift: "<<",
}  # fmt: skip

Column = Callable[[str, str], str]
"""Return the Python source of a column, given its table's alias (or nothing) and its name."""

Nested = Callable[[exp.Expression], str]
"""Return the Python source of a sub-select's rows."""


class Writer:
    """Writes one statement's expressions."""

    def __init__(self, column: Column, nested: Nested) -> None:
        self.column, self.nested = column, nested

    def write(self, node: exp.Expression) -> str:
        """Return Python source; raises ``Unsupported``."""
        for kind, write in self._kinds.items():
            if isinstance(node, kind):
                return write(self, node)
        return self._function(node)

    def _many(self, nodes: list[exp.Expression]) -> str:
        return "(" + "".join(self.write(node) + ", " for node in nodes) + ")"

    def _literal(self, node: exp.Literal) -> str:
        return repr(node.this) if node.is_string else node.this

    def _parameter(self, node: exp.Placeholder) -> str:
        return f"p[{node.name!r}]"

    def _column(self, node: exp.Column) -> str:
        return self.column(node.table, node.name)

    def _cast(self, node: exp.Cast) -> str:
        inner, wanted = self.write(node.this), node.to.sql("postgres").lower()
        if wanted in ("text", "varchar"):
            return f"_text({inner})"
        if wanted in ("bigint", "int", "integer", "smallint", "xid8", "xid", "oid"):
            return f"_int({inner})"
        if wanted.endswith("[]"):
            return f"_array({inner}, {wanted.removesuffix('[]')!r})"
        return inner

    def _any(self, left: str, node: exp.Any) -> str:
        inner = node.this.unnest()
        if isinstance(inner, exp.Select):
            return f"({left} in [row[0] for row in {self.nested(inner)}])"
        return f"({left} in {self.write(inner)})"

    def _binary(self, node: exp.Binary) -> str:
        left = self.write(node.this)
        if isinstance(node.expression, exp.Any):
            return self._any(left, node.expression)
        mark, right = BINARY[type(node)], self.write(node.expression)
        return f"({left} {mark} {right})"

    def _is(self, node: exp.Is) -> str:
        mark = "is not" if node.args.get("negate") else "is"
        return f"({self.write(node.this)} {mark} {self.write(node.expression)})"

    def _in(self, node: exp.In) -> str:
        query = node.args.get("query")
        if query is not None:
            return f"({self.write(node.this)} in [row[0] for row in {self.nested(query.unnest())}])"
        return f"({self.write(node.this)} in {self._many(node.expressions)})"

    def _exists(self, node: exp.Exists) -> str:
        return f"any(True for _ in {self.nested(node.this.unnest())})"

    def _subquery(self, node: exp.Subquery) -> str:
        if isinstance(node.this, exp.Select):
            return f"next((row[0] for row in {self.nested(node.this)}), None)"
        return self.write(node.this)

    def _array(self, node: exp.Array) -> str:
        if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Select):
            return f"[row[0] for row in {self.nested(node.expressions[0])}]"
        return f"list({self._many(node.expressions)})"

    def _coalesce(self, node: exp.Coalesce) -> str:
        return f"_coalesce({self._many([node.this, *node.expressions])})"

    def _greatest(self, node: exp.Greatest) -> str:
        return f"max({self._many([node.this, *node.expressions])})"

    def _least(self, node: exp.Least) -> str:
        return f"min({self._many([node.this, *node.expressions])})"

    def _interval(self, node: exp.Interval) -> str:
        words = (str(node.this.this) + " " + (node.text("unit") or "")).split()
        if words[1].lower() not in ("s", "second", "seconds"):
            raise Unsupported(node.sql())
        return f"_seconds({float(words[0])})"

    def _interval_make(self, node: exp.MakeInterval) -> str:
        others = [name for name, value in node.args.items() if value and name != "second"]
        if others:
            raise Unsupported(node.sql())
        return f"_seconds({self.write(node.args['second'])})"

    def _extract(self, node: exp.Extract) -> str:
        if node.name.upper() != "EPOCH":
            raise Unsupported(node.sql())
        return f"_epoch({self.write(node.expression)})"

    def _case(self, node: exp.Case) -> str:
        otherwise = node.args.get("default")
        text = self.write(otherwise) if otherwise is not None else "None"
        for branch in reversed(node.args["ifs"]):
            text = f"({self.write(branch.args['true'])} if {self.write(branch.this)} else {text})"
        return text

    def _function(self, node: exp.Expression) -> str:
        name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()  # type: ignore[attr-defined]
        if name not in FUNCTIONS:
            raise Unsupported(f"{name}: {node.sql('postgres')[:200]}")
        parts = node.expressions if isinstance(node, exp.Anonymous) else []
        return FUNCTIONS[name].format(*[self.write(part) for part in parts])

    _kinds: dict[Any, Callable[["Writer", Any], str]] = {
        exp.Literal: _literal,
        exp.Placeholder: _parameter,
        exp.Column: _column,
        exp.Cast: _cast,
        exp.Is: _is,
        exp.In: _in,
        exp.Exists: _exists,
        exp.Subquery: _subquery,
        exp.Array: _array,
        exp.Coalesce: _coalesce,
        exp.Greatest: _greatest,
        exp.Least: _least,
        exp.Interval: _interval,
        exp.MakeInterval: _interval_make,
        exp.Extract: _extract,
        exp.Case: _case,
        exp.Null: lambda self, node: "None",
        exp.Boolean: lambda self, node: repr(bool(node.this)),
        exp.Not: lambda self, node: f"(not {self.write(node.this)})",
        exp.Neg: lambda self, node: f"(-{self.write(node.this)})",
        exp.Kwarg: lambda self, node: self.write(node.expression),
        exp.Paren: lambda self, node: f"({self.write(node.this)})",
        exp.Tuple: lambda self, node: self._many(node.expressions),
        exp.CurrentTimestamp: lambda self, node: "s.now()",
        exp.Binary: _binary,
    }
