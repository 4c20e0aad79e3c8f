"""Stand-ins on CPython for what MicroPython builds in, so that `bms` runs unchanged at a desk.

Not part of the device image. `install()` adds a `micropython` module and viper's type names
(`ptr8`, `ptr16`, `ptr32`, `uint`) to the builtins; a pointer becomes a memoryview of that width.
"""

import builtins
import sys
import types
from typing import Any


def _same(function: Any) -> Any:
    return function


def _view(code: str) -> Any:
    return lambda buffer: memoryview(buffer).cast("B").cast(code)  # type: ignore[arg-type]


def install() -> None:
    """Make `import micropython` and viper's names work; a second call changes nothing."""
    if "micropython" in sys.modules:
        return
    module: Any = types.ModuleType("micropython")
    module.const = module.native = module.viper = _same
    module.heap_lock = module.heap_unlock = lambda: 0
    module.alloc_emergency_exception_buf = lambda size: None  # pyright: ignore[reportUnknownLambdaType]
    sys.modules["micropython"] = module
    names: dict[str, Any] = {"ptr8": _view("B"), "ptr16": _view("H"), "ptr32": _view("i"), "uint": int}
    for name, value in names.items():
        setattr(builtins, name, value)
