"""Names in the modules of a board: which are looked up, and short ones for those that are private."""

import ast
import itertools
import string
from collections.abc import Iterator, Mapping

Trees = dict[str, ast.Module]
"""Module name (dotted) -> its syntax tree."""


def spoken_of(trees: Trees, of_oneself: bool = True) -> set[str]:
    """Words in strings: a name that is one of them may be looked up by it.

    Not `of_oneself`: without those that a module gives another value by `globals().update`.
    """
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    own = {
        id(key)
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "globals().update"
        for argument in node.args
        if isinstance(argument, ast.Dict)
        for key in argument.keys
    }
    strings = (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (of_oneself or id(node) not in own)
    )
    return {text for text in strings if text.isidentifier()}


class Asked:
    """What the modules take from each other: `attributes` of anything, and (module, name) by an import."""

    def __init__(self, trees: Trees) -> None:
        nodes = [node for tree in trees.values() for node in ast.walk(tree)]
        self.attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        self._imported = {
            (node.module, alias.name)
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def of(self, module: str) -> set[str]:
        """Names of the module that others may look up."""
        return self.attributes | {name for other, name in self._imported if other == module}


def identifiers(tree: ast.Module) -> set[str]:
    return {name for node in ast.walk(tree) for name in _names_of(node)}


def _names_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.name
        if node.asname:
            yield node.asname


def short_names(trees: Trees, kept: set[str]) -> dict[str, str]:
    """Private name -> short name. Two that meet in a module, or in modules with a base class between them,
    get different ones; others share them, since each one costs."""
    meets: dict[str, set[int]] = {}
    count: dict[str, int] = {}
    for n, group in enumerate(_families(trees)):
        for node in (node for tree in group for node in ast.walk(tree)):
            for name in _names_of(node):
                if _private(name) and name not in kept:
                    meets.setdefault(name, set()).add(n)
                    count[name] = count.get(name, 0) + 1
    taken: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for name in sorted(meets, key=lambda name: (-len(meets[name]), -count[name], name)):
        for short in _shorts():
            if not meets[name] & taken.setdefault(short, set()):
                taken[short] |= meets[name]
                names[name] = short
                break
    return names


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and len(name) > 1


def _shorts() -> Iterator[str]:
    for n in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=n):
            yield "_" + "".join(letters)


def _families(trees: Trees) -> list[list[ast.Module]]:
    """Modules, together where a class of one is the base of a class of another."""
    group_of = {name: {name} for name in trees}
    for name, tree in trees.items():
        bases = {
            base.id
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for base in node.bases
            if isinstance(base, ast.Name)
        }
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in trees:
                if not bases & {alias.asname or alias.name for alias in node.names}:
                    continue
                merged = group_of[name] | group_of[node.module]
                for member in merged:
                    group_of[member] = merged
    unique = {id(members): members for members in group_of.values()}
    return [[trees[name] for name in sorted(members)] for members in unique.values()]


class Renamed(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit(self, node: ast.AST) -> ast.AST:
        """A node with the short names in it."""
        names = self._names
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.Attribute):
            node.attr = names.get(node.attr, node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.name = names.get(node.name, node.name)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.alias):
            node.name = names.get(node.name, node.name)
            node.asname = names.get(node.asname, node.asname) if node.asname else None
        elif isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [names.get(name, name) for name in node.names]
        self.generic_visit(node)
        return node
