"""Mutants: small changes of a module's syntax tree, one at a time, compiled in memory."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMED = {
    "ABOVE": "BELOW",
    "BELOW": "ABOVE",
    "LATCHED": "SELF_CLEARING",
    "SELF_CLEARING": "LATCHED",
    "OPEN_NOW": "OPEN_SOFT",
    "OPEN_SOFT": "DERATE",
    "DERATE": "OPEN_SOFT",
    "ALWAYS": "CHARGING",
    "CHARGING": "ALWAYS",
}
"""In the fault table."""
_LIMIT, _CLEAR, _FRESH = 5, 6, 7  # columns of the fault table


@dataclass(frozen=True)
class Mutant:
    """The `index`-th mutant of `module`; `what` is its place and its change, for a reader."""

    module: str
    index: int
    what: str


Change = tuple[ast.AST, ast.AST]
"""A node and what stands there instead."""


def _instead(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in place of an expression or a statement."""
    match node:
        case ast.Compare(left=left, ops=[op], comparators=others):
            for other in _COMPARED.get(type(op), ()):
                yield ast.Compare(left, [other()], others)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTED:
            yield ast.BinOp(left, _COMPUTED[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value):
            if type(op) in _COMPUTED:
                yield ast.AugAssign(target, _COMPUTED[type(op)](), value)
            yield ast.Pass()
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test, body=body, orelse=orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case (
            ast.Assign(targets=[ast.Subscript() | ast.Attribute()]) | ast.Expr(value=ast.Call()) | ast.Break()
        ):
            yield ast.Pass()
        case _:
            pass


def _in_table(call: ast.Call) -> Iterator[Change]:
    """Of a row of the fault table: columns that decide; not ids, names, severities and contracts."""
    limit, clear = call.args[_LIMIT], call.args[_CLEAR]
    if ast.dump(limit) != ast.dump(clear):
        yield limit, copy.copy(clear)
        yield clear, copy.copy(limit)
    fresh = call.args[_FRESH]
    assert isinstance(fresh, ast.Constant)  # noqa: S101
    assert isinstance(fresh.value, int)  # noqa: S101
    yield fresh, ast.Constant(fresh.value + 1)
    if fresh.value > 1:
        yield fresh, ast.Constant(fresh.value - 1)
    for arg in call.args:
        if isinstance(arg, ast.Name) and arg.id in _NAMED:
            yield arg, ast.Name(_NAMED[arg.id], ast.Load())
        elif isinstance(arg, ast.Constant) and isinstance(arg.value, bool):
            yield arg, ast.Constant(not arg.value)


def _changes(node: ast.AST, source: Sequence[str]) -> Iterator[Change]:
    """Every change under `node` that is tried, in a fixed order."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Assign(targets=[ast.Name(id="TYPE_CHECKING")]):
            return
        case ast.arguments() | ast.ImportFrom() | ast.Import():
            return
        case ast.If() if "pragma: no cover" in source[node.lineno - 1]:
            return
        case ast.Call(func=ast.Name(id="Fault")):
            yield from _in_table(node)
            return
        case _:
            pass
    for other in _instead(node):
        yield node, other
    for name, child in ast.iter_fields(node):
        if name in ("decorator_list", "annotation", "returns"):
            continue
        for part in child if isinstance(child, list) else [child]:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(part, ast.AST):
                yield from _changes(part, source)


def path_of(module: str) -> Path:
    """The source of a module of the firmware."""
    return (FIRMWARE / module.replace(".", "/")).with_suffix(".py")


def _changes_of(module: str) -> tuple[ast.Module, list[Change], list[str]]:
    text = path_of(module).read_text("utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    return tree, list(_changes(tree, lines)), lines


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module of the firmware."""
    found: list[Mutant] = []
    _, all_changes, lines = _changes_of(module)
    for index, (old, new) in enumerate(all_changes):
        assert isinstance(old, ast.expr | ast.stmt)  # noqa: S101
        before, after = (ast.unparse(ast.fix_missing_locations(node)).splitlines()[0] for node in (old, new))
        place = f"{path_of(module).relative_to(ROOT)}:{old.lineno}"
        found.append(
            Mutant(module, index, f"{place}: {before}  ->  {after}  in  {lines[old.lineno - 1].strip()}")
        )
    return found


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.copy_location(self._new, node)
        return self.generic_visit(node)


def compiled(mutant: Mutant) -> CodeType:
    """The mutant's module, ready to be run."""
    tree, found, _ = _changes_of(mutant.module)
    changed = ast.fix_missing_locations(_Replace(*found[mutant.index]).visit(tree))
    assert isinstance(changed, ast.Module)  # noqa: S101
    return compile(changed, str(path_of(mutant.module)), "exec")
