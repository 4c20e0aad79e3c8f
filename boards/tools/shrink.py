"""Makes the modules of a board smaller before they are compiled: what only people read goes.

A .mpy file carries the name of everything in it, and a board that loads it keeps each name, each import and
each number that has a name in its heap. So, over all modules of a board together:

* whole-number constants of modules stand where they are used, and no longer in any module or import;
* names with a leading underscore become short ones; which, is in names.json beside the sizes;
* what is there for type checkers, and what main.py does not use in any way, is left out.

What a module offers to others, apart from its whole numbers, keeps its name. A set is made as a whole: its
modules do not work together with those of another one.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from boards.tools.constants import Constants
from boards.tools.names import Asked, Renamed, Trees, identifiers, short_names, spoken_of


@dataclass(frozen=True)
class Shrunk:
    """Sources by module name, and what each private name has become."""

    sources: dict[str, str]
    names: dict[str, str]


def shrink(sources: Mapping[str, str], outside: str = "") -> Shrunk:
    """The modules of one board, name (dotted) -> source. `outside`: source that uses them, as it is."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    for tree in trees.values():
        _Checked().visit(tree)
    trees = _reached(trees, ast.parse(outside))
    kept = spoken_of(trees) | identifiers(ast.parse(outside))
    constants = Constants(trees)
    constants.inline(kept)
    while _shake(trees, outside):
        pass
    names = short_names(trees, kept)
    for tree in trees.values():
        Renamed(names).visit(tree)
    return Shrunk({name: ast.unparse(ast.fix_missing_locations(tree)) for name, tree in trees.items()}, names)


class _Checked(ast.NodeTransformer):
    """Leaves out annotations in quotes, `if TYPE_CHECKING` and __all__."""

    def visit_If(self, node: ast.If) -> "ast.AST | list[ast.stmt]":
        """The other branch of `if TYPE_CHECKING`."""
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node

    def visit_Assign(self, node: ast.Assign) -> "ast.AST | None":
        """Neither TYPE_CHECKING nor __all__."""
        self.generic_visit(node)
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id in ("TYPE_CHECKING", "__all__"):
            return None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> "ast.AST | None":
        """A plain assignment, or nothing where there is no value."""
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Without an annotation in quotes; viper's are names."""
        if isinstance(node.annotation, ast.Constant):
            node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The same for what it returns."""
        self.generic_visit(node)
        if isinstance(node.returns, ast.Constant):
            node.returns = None
        return node


def _reached(trees: Trees, outside: ast.Module) -> Trees:
    """The modules that `outside` imports, one by way of another; all of them when it imports none."""
    found: set[str] = set()
    todo = [outside]
    while todo:
        for name in _imports(todo.pop()):
            parts = name.split(".")
            for whole in (".".join(parts[:n]) for n in range(1, len(parts) + 1)):
                if whole in trees and whole not in found:
                    found.add(whole)
                    todo.append(trees[whole])
    return {name: tree for name, tree in trees.items() if name in found} or trees


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _shake(trees: Trees, outside: str) -> bool:
    """Drop top-level imports, functions, classes and tables that nobody speaks of; whether any went."""
    before = sum(len(tree.body) for tree in trees.values())
    asked = Asked(trees)
    spoken = spoken_of(trees, of_oneself=False) | identifiers(ast.parse(outside))
    for name, tree in trees.items():
        used = _used(tree) | asked.of(name) | spoken
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [a for a in node.names if (a.asname or a.name.split(".")[0]) in used]
        own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        tree.body = [node for node in tree.body if not _idle(node, used, own)]
    return sum(len(tree.body) for tree in trees.values()) < before


def _used(tree: ast.Module) -> set[str]:
    """Names that the module itself looks up, and not only inside of what bears the name."""
    decorators = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        for part in ast.walk(decorator)
        if isinstance(decorator, ast.Attribute) and decorator.attr in ("viper", "native")
    }  # the compiler knows these by themselves
    used: set[str] = set()
    for top in tree.body:
        names = {
            node.id for node in ast.walk(top) if isinstance(node, ast.Name) and id(node) not in decorators
        }
        used |= names - _bears(top)
    return used


def _bears(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return {node.targets[0].id}
    return set()


def _idle(node: ast.stmt, used: set[str], own: set[str]) -> bool:
    """Whether the statement only makes something that nobody looks up."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return not node.names
    if isinstance(node, ast.Assign):
        makers = own | {"bytes", "const", "namedtuple", "range", "tuple"}
        calls = [part.func for part in ast.walk(node.value) if isinstance(part, ast.Call)]
        if not all(isinstance(call, ast.Name) and call.id in makers for call in calls):
            return False  # making it may do something besides
    return bool(_bears(node)) and not _bears(node) & used
