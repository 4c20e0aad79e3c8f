"""What goes from the modules of a board before they are compiled, and what must not."""

import ast
from pathlib import Path
from types import ModuleType

from boards.tools import boardfile, manifest, mpy
from boards.tools.shrink import shrink


def run(sources: dict[str, str], name: str) -> ModuleType:
    """A module's source on its own; what it imports is in `sources` and was run before."""
    module = ModuleType(name)
    exec(sources[name], module.__dict__)  # noqa: S102
    return module


def test_numbers_stand_where_they_are_used_and_their_names_are_gone() -> None:
    found = shrink({
        "table": "FIRST = 3\nSECOND = -FIRST * 2\nTEXT = 'three'",
        "user": "from table import FIRST, TEXT\nimport_me = 1\ndef sum(x): return x + FIRST",
        "other": "from bms import table\nfrom user import sum\nprint(sum(1))",
    })  # fmt: skip
    assert found.sources["table"] == ""
    assert found.sources["user"].strip() == "def sum(x):\n    return x + 3"


def test_a_number_is_taken_from_a_module_that_was_imported() -> None:
    found = shrink({
        "bms.table": "A = 1 << 4\nB = A - 20",
        "user": "from bms import table\ndef f(): return table.A, table.B ** 2\nf()",
    })  # fmt: skip
    assert run(found.sources, "user").f() == (16, 16)
    assert "table" not in found.sources["user"]
    assert not found.sources["bms.table"]


def test_what_is_given_a_value_twice_or_is_a_parameter_somewhere_stays() -> None:
    sources = {
        "table": "N = 1\nM = 2\nif M: N = 5\nK = 7",
        "user": "from table import K, N\ndef f(K): return K + N\nprint(f(1))",
    }
    found = shrink(sources)
    assert "N = 5" in found.sources["table"]
    assert "K = 7" in found.sources["table"]
    assert "from table import K, N" in found.sources["user"]


def test_what_is_looked_up_by_a_word_keeps_its_name() -> None:
    source = "_LIMIT = 3\n_OTHER = 4\ndef f(): return globals()['_LIMIT'] + _OTHER\nf()"
    found = shrink({"m": source})
    assert found.names == {}
    assert run(found.sources, "m").f() == 7


def test_what_the_outside_uses_keeps_its_name_and_its_place() -> None:
    found = shrink({"m": "N = 3\ndef f(): return 1\ndef g(): return 2"}, "from m import N, f\nprint(f(), N)")
    assert "N = 3" in found.sources["m"]
    assert "def f" in found.sources["m"]
    assert "def g" not in found.sources["m"]


def test_private_names_become_short_ones_shared_by_modules_that_do_not_meet() -> None:
    found = shrink({
        "a": "class A:\n    def _first(self): return self._second()\n    def _second(self): return 1\nA()",
        "b": "class B:\n    def _third(self): return 2\nB()._third()",
    })  # fmt: skip
    assert len(set(found.names.values())) == 2
    assert found.names["_first"] != found.names["_second"]
    assert found.names["_third"] in {found.names["_first"], found.names["_second"]}


def test_a_class_and_its_base_in_another_module_never_share_a_short_name() -> None:
    found = shrink({
        "base": "class Base:\n    def __init__(self): self._mine = 1\n    def mine(self): return self._mine",
        "sub": "from base import Base\nclass Sub(Base):\n    def __init__(self): self._own = 2\nSub()",
    })  # fmt: skip
    assert found.names["_mine"] != found.names["_own"]


def test_a_keyword_argument_goes_with_its_parameter() -> None:
    found = shrink({"m": "def f(_private_way): return _private_way\nX = f(_private_way=5)\nprint(X)"})
    assert run(found.sources, "m").X == 5


def test_modules_that_nothing_imports_are_left_out() -> None:
    sources = {
        "p": "",
        "p.a": "def f():\n    from p import b\n    return b.g()",
        "p.b": "def g(): return 1",
        "p.c": "",
    }
    assert set(shrink(sources, "from p.a import f\nf()").sources) == {"p", "p.a", "p.b"}
    assert set(shrink(sources, "from other import f").sources) == set(sources)


def test_what_is_there_for_type_checkers_goes() -> None:
    found = shrink({
        "m": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any\n    class T: pass\n"
        "else:\n    T = dict\n__all__ = ('f',)\n"
        "def f(x: 'Any') -> 'T': return T()\nx: 'int | None' = f(1)\nf(x)"
    })  # fmt: skip
    assert not {"typing", "TYPE_CHECKING", "Any", "__all__"} & set(
        found.sources["m"].replace("(", " ").split()
    )
    assert run(found.sources, "m").x == {}


def test_a_compiler_word_needs_no_import_and_its_types_stay() -> None:
    source = (
        "import micropython\n@micropython.viper\ndef f(a: ptr8, n: int) -> int:\n    return a[n]\nf(b'', 0)"
    )
    found = shrink({"m": source})
    assert "import" not in found.sources["m"]
    assert "def f(a: ptr8, n: int) -> int:" in found.sources["m"]


def test_making_something_that_may_do_more_is_never_left_out() -> None:
    found = shrink({"m": "import machine\npin = machine.Pin(3)\nrows = tuple(range(3))"})
    assert "machine.Pin(3)" in found.sources["m"]
    assert "rows" not in found.sources["m"]


def test_the_firmware_keeps_what_people_and_boards_call() -> None:
    sources = {
        module.target.removesuffix(".py")
        .removesuffix("/__init__")
        .replace("/", "."): module.source.read_text()
        for module in manifest.modules(boardfile.read("esp32"))
    }
    main = sources.pop("main")
    found = shrink(sources, main)
    assert all(ast.parse(source) for source in found.sources.values())
    for name, parts in (
        ("bms.app", ("class App", "def run", "def step")),
        ("bms.memory.recorder", ("def reset_latched",)),
        ("bms.safety.kernel", ("def tick", "def ask_reset")),
        ("board", ("class Board",)),
    ):
        assert all(part in found.sources[name] for part in parts), name
    before, after = (sum(map(len, texts.values())) for texts in (sources, found.sources))
    assert after < before


def test_the_names_lie_beside_the_sizes(tmp_path: Path) -> None:
    mpy.build_mpy("esp32", tmp_path)
    assert '"_send_history": "_' in (tmp_path / "names.json").read_text()
