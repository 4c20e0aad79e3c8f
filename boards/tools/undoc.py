"""Takes the documentation out of table rows: people read it, a board would keep it in its heap for ever."""

import ast


def without_docs(source: str) -> str:
    """`source` with "" for the last argument of every row whose class has `doc` as its last parameter.

    Lines stay where they are, so that a trace from a board says the right one.
    """
    tree = ast.parse(source)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and _documented(node)}
    # from the end, so that the places before stay right; columns count bytes of UTF-8
    docs = sorted(
        (
            node.args[-1]
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes
        ),
        key=lambda doc: (doc.lineno, doc.col_offset),
        reverse=True,
    )
    lines = source.encode().splitlines(keepends=True)
    for doc in docs:
        if isinstance(doc, ast.Constant) and doc.lineno == doc.end_lineno:
            line = lines[doc.lineno - 1]
            lines[doc.lineno - 1] = line[: doc.col_offset] + b'""' + line[doc.end_col_offset :]
    return b"".join(lines).decode()


def _documented(node: ast.ClassDef) -> bool:
    inits = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    return bool(inits) and inits[0].args.args[-1].arg == "doc"
