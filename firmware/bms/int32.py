"""Checked mode of the integer kernels, on CPython only: every intermediate must fit 32 bits.

Viper computes with machine words: a product that leaves 32 bits is exact on a 64-bit host and wrong on a
32-bit core. `checked(module)` gives the module again with every operation watched. Not part of the
device image.
"""

import ast
import types
from pathlib import Path


def int32(value: int) -> int:
    """`value`; raises OverflowError when it does not fit 32 bits."""
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise OverflowError("%d does not fit 32 bits" % value)
    return value


class _Watch(ast.NodeTransformer):
    def _watched(self, node: ast.expr, like: ast.AST) -> ast.expr:
        call = ast.Call(ast.Name("_int32", ast.Load()), [node], [])
        return ast.fix_missing_locations(ast.copy_location(call, like))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._watched(node, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.target, ast.Name):
            return node
        value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
        return ast.copy_location(ast.Assign([node.target], self._watched(value, node)), node)


def checked(module: types.ModuleType) -> types.ModuleType:
    """A copy of `module` whose arithmetic raises OverflowError when an intermediate leaves 32 bits."""
    path = Path(module.__file__ or "")
    tree = _Watch().visit(ast.parse(path.read_text("utf-8")))
    copy = types.ModuleType(module.__name__)
    copy.__dict__["_int32"] = int32
    exec(compile(tree, str(path), "exec"), copy.__dict__)
    return copy
