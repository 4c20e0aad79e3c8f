"""Stand-ins on CPython for what MicroPython builds in, so that `bms` runs unchanged at a desk.

Not part of the device image. `install()` adds a `micropython` module and viper's type names
(`ptr8`, `ptr16`, `ptr32`, `uint`) to the builtins; a pointer becomes a memoryview of that width.
"""

import builtins
import functools
import sys
import types
from collections.abc import Callable
from typing import Any


class Address:
    """A buffer with the views that a cast to a pointer picks."""

    def __init__(self, buffer: Any, offset: int = 0) -> None:
        self.views = {code: _cast(buffer, code) for code in "BHi"}
        self._offset = offset
        self._further: dict[int, Address] = {}

    def __add__(self, n: int) -> "Address":
        if n not in self._further:
            self._further[n] = Address(self.views["B"][n:], self._offset + n)
        return self._further[n]

    def __lt__(self, other: "Address") -> bool:
        return self._offset < other._offset


def address(buffer: Any) -> Any:
    """As uctypes.addressof, for a cast to a pointer only."""
    return Address(buffer)


def _cast(buffer: Any, code: str) -> Any:
    raw = memoryview(buffer).cast("B")
    width = {"B": 1, "H": 2, "i": 4}[code]
    return raw[: len(raw) // width * width].cast(code)  # pyright: ignore[reportCallIssue, reportArgumentType]


def _view(code: str) -> Callable[[Any], Any]:
    def view(buffer: Any) -> Any:
        if isinstance(buffer, Address):
            return buffer.views[code]
        return memoryview(buffer).cast("B").cast(code)  # pyright: ignore[reportCallIssue, reportArgumentType]

    return view


# As on the device, a store into ptr8 and ptr16 is unsigned and into ptr32 signed.
_POINTERS = {"ptr8": _view("B"), "ptr16": _view("H"), "ptr32": _view("i")}


def _same(function: Any) -> Any:
    return function


def _viper(function: Any) -> Any:
    """Viper looks at its pointer arguments through their type, whatever buffer comes."""
    casts = [
        function.__annotations__.get(name)
        if function.__annotations__.get(name) in _POINTERS.values()
        else None
        for name in function.__code__.co_varnames[: function.__code__.co_argcount]
    ]
    if not any(casts):
        return function

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*(cast(arg) if cast else arg for cast, arg in zip(casts, args, strict=True)))

    return call


def _nothing(*_: Any) -> int:
    return 0


def install() -> None:
    """Make `import micropython` and viper's names work; a second call changes nothing."""
    if "micropython" in sys.modules:
        return
    module: Any = types.ModuleType("micropython")
    module.const = module.native = _same
    module.viper = _viper
    module.heap_lock = module.heap_unlock = module.alloc_emergency_exception_buf = _nothing
    sys.modules["micropython"] = module
    for name, value in {**_POINTERS, "uint": int}.items():
        setattr(builtins, name, value)
