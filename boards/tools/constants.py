"""Whole-number constants of modules: what they are, and putting them where they are used."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from boards.tools.names import Asked, Trees


@dataclass
class Scope:
    """What a module's global names stand for."""

    numbers: dict[str, int] = field(default_factory=dict[str, int])
    """Its own constants and those it imports by name."""
    modules: dict[str, str] = field(default_factory=dict[str, str])
    """Names of modules of the set."""
    own: set[str] = field(default_factory=set[str])


class Constants:
    """Whole numbers that modules give a name, each once and for good."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._scopes: dict[str, Scope] = {}
        for name in trees:
            self._scope(name)

    def _scope(self, name: str) -> Scope:
        if name in self._scopes:
            return self._scopes[name]
        scope = self._scopes[name] = Scope()
        stored = _stored(self._trees[name])
        for node in self._trees[name].body:
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                self._from(node, scope, stored)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                target = node.targets[0].id
                value = self._number(node.value, scope)
                if len(node.targets) == 1 and stored.count(target) == 1 and value is not None:
                    scope.numbers[target] = value
                    scope.own.add(target)
        return scope

    def _from(self, node: ast.ImportFrom, scope: Scope, stored: list[str]) -> None:
        for alias in node.names:
            known = alias.asname or alias.name
            whole = f"{node.module}.{alias.name}"
            if stored.count(known) != 1:
                continue
            if whole in self._trees:
                scope.modules[known] = whole
            elif node.module in self._trees:
                numbers = self._scope(node.module).numbers
                if alias.name in numbers:
                    scope.numbers[known] = numbers[alias.name]

    def _number(self, node: ast.expr, scope: Scope) -> int | None:
        """Its value, if it is a whole number that can be told now."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const":
            return self._number(node.args[0], scope)
        if isinstance(node, ast.Constant):
            return node.value if type(node.value) is int else None
        if isinstance(node, ast.Name):
            return scope.numbers.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = scope.modules.get(node.value.id)
            return None if module is None else self._scope(module).numbers.get(node.attr)
        if isinstance(node, ast.UnaryOp | ast.BinOp):
            parts = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
            values = [self._number(part, scope) for part in parts]
            if None in values:
                return None
            values = [ast.Constant(value) for value in values]
            if isinstance(node, ast.UnaryOp):
                whole: ast.expr = ast.UnaryOp(node.op, values[0])
            else:
                whole = ast.BinOp(values[0], node.op, values[1])
            result = eval(compile(ast.fix_missing_locations(ast.Expression(whole)), "", "eval"))  # noqa: S307
            return result if type(result) is int else None
        return None

    def inline(self, kept: set[str]) -> None:
        """Put them where they are used and take their definitions out, but for names in `kept`."""
        for name, tree in self._trees.items():
            _Inlined(self._scopes[name], self._scopes).visit(tree)
        for name, tree in self._trees.items():
            numbers = self._scopes[name].numbers
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module in self._trees:
                    node.names = [a for a in node.names if (a.asname or a.name) not in numbers]
        asked = Asked(self._trees)
        for name, tree in self._trees.items():
            gone = self._scopes[name].own - asked.of(name) - kept
            tree.body = [
                node
                for node in tree.body
                if not _defines(node, gone) and (not isinstance(node, ast.ImportFrom) or node.names)
            ]


def _stored(tree: ast.Module) -> list[str]:
    """Every name that is given a value anywhere in the module, as often as it is."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.append(node.id)
        elif isinstance(node, ast.arg):
            found.append(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.alias):
            found.append(node.asname or node.name.split(".")[0])
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found += node.names
    return found


def _defines(node: ast.stmt, names: set[str]) -> bool:
    return (
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
    )


class _Inlined(ast.NodeTransformer):
    def __init__(self, scope: Scope, scopes: Mapping[str, Scope]) -> None:
        self._scope = scope
        self._scopes = scopes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A constant's number."""
        if isinstance(node.ctx, ast.Load) and node.id in self._scope.numbers:
            return _literal(self._scope.numbers[node.id])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """The number of another module's constant."""
        if isinstance(node.value, ast.Name) and node.value.id in self._scope.modules:
            numbers = self._scopes[self._scope.modules[node.value.id]].numbers
            if node.attr in numbers:
                return _literal(numbers[node.attr])
        self.generic_visit(node)
        return node


def _literal(value: int) -> ast.expr:
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
