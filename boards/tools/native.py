"""Compiles the native kernels: `python -m boards.tools.native ARCH` (as in board.toml; x64: the unix port).

firmware/native/NAME.c becomes build/native/ARCH/native_NAME.mpy, by the tools of MicroPython's source tree.
A firmware module imports it from anywhere on its path, and has its Python form where it is not there.
"""

from __future__ import annotations

import argparse
import ast
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boards.tools.boardfile import BUILD, BoardError
from boards.tools.micropython_source import BuildError, build_lock, source_tree

KERNELS = Path(__file__).resolve().parents[2] / "firmware" / "native"
UNIX = "x64"
"""Of MicroPython's unix port."""
PREFIX = "native_"


@dataclass(frozen=True)
class Toolchain:
    """A compiler, what it needs for the architecture, and where one gets it."""

    compiler: str
    flags: tuple[str, ...]
    remedy: str


_ARM = "apt-get install gcc-arm-none-eabi"
_ESP = "Espressif's xtensa-esp-elf from github.com/espressif/crosstool-NG"
TOOLCHAINS = {
    UNIX: Toolchain("gcc", ("-fno-stack-protector",), "apt-get install gcc"),
    "armv7emsp": Toolchain(
        "arm-none-eabi-gcc", ("-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"), _ARM
    ),
    "armv7emdp": Toolchain(
        "arm-none-eabi-gcc", ("-mthumb", "-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard"), _ARM
    ),
    "xtensawin": Toolchain("xtensa-esp32-elf-gcc", (), _ESP),
}
# As MicroPython's py/dynruntime.mk; -fwrapv because viper's words wrap.
_FLAGS = (
    "-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-DNDEBUG", "-DNO_QSTR",
    "-DMICROPY_ENABLE_DYNRUNTIME", "-fpic", "-fno-common", "-fwrapv", "-U_FORTIFY_SOURCE",
)  # fmt: skip


def folder(arch: str, build: Path = BUILD) -> Path:
    """Where the modules of an architecture are, once built."""
    return build / "native" / arch


def missing(arch: str) -> str:
    """Why there are no native kernels for `arch`, in one line; empty when they can be built."""
    if arch not in TOOLCHAINS:
        return f"no native kernels for {arch}: known are {', '.join(TOOLCHAINS)}"
    chain = TOOLCHAINS[arch]
    if arch == UNIX and platform.machine() not in ("x86_64", "AMD64"):
        return f"no native kernels for {arch}: this machine is {platform.machine()}"
    if shutil.which(chain.compiler) is None:
        return (
            f"no native kernels for {arch}, the Python forms run there: {chain.compiler} is not on PATH "
            f"({chain.remedy})"
        )
    return ""


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print((done.stderr or done.stdout).strip()[-2000:], file=sys.stderr)
        raise BuildError(f"native kernels: {command[0]} failed on {Path(command[-1]).name}")


def _compile(source: Path, arch: str, tree: Path, build: Path) -> Path:
    """One kernel; returns its module. It appears whole: others may be loading the one before."""
    objects = build / "native" / "obj" / arch
    objects.mkdir(parents=True, exist_ok=True)
    folder(arch, build).mkdir(parents=True, exist_ok=True)
    link = [sys.executable, tree / "tools" / "mpy_ld.py", "--arch", arch]
    config, compiled = objects / f"{source.stem}.config.h", objects / f"{source.stem}.o"
    made, module = objects / f"{source.stem}.mpy", folder(arch, build) / f"{PREFIX}{source.stem}.mpy"
    _run([*link, "--preprocess", "-o", config, source])
    chain = TOOLCHAINS[arch]
    options = [*_FLAGS, *chain.flags, f"-I{tree}", f'-DMP_CONFIGFILE="{config}"', "-o", compiled]
    _run([chain.compiler, *options, "-c", source])
    _run([*link, "--qstrs", config, "-o", made, compiled])
    return made.replace(module)


def compile_all(arch: str, tree: Path, build: Path = BUILD) -> list[Path]:
    """Every kernel for `arch`, whose toolchain is there; under build_lock(build). Raises BuildError."""
    return [_compile(source, arch, tree, build) for source in sorted(KERNELS.glob("*.c"))]


def modules(arch: str, build: Path = BUILD) -> list[Path]:
    """The kernels for `arch`, built; none, and a line that says why, where they cannot be."""
    if lack := missing(arch):
        print(lack)
        return []
    with build_lock(build):
        return compile_all(arch, source_tree(build), build)


def board_files(arch: str, build: Path = BUILD) -> dict[str, bytes]:
    """The kernels for `arch`, built, by their path on a board (see file_system.write_files)."""
    return {f"/lib/{path.name}": path.read_bytes() for path in modules(arch, build)}


def imported(sources: Iterable[str]) -> set[str]:
    """Names of the native modules that these sources import."""
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    names = (node.module for node in nodes if isinstance(node, ast.ImportFrom))
    return {name for name in names if name is not None and name.startswith(PREFIX)}


def table(made: Iterable[Path]) -> str:
    """For people: what was built, and its bytes."""
    return "\n".join(f"{path.parent.name}/{path.name:<18} {path.stat().st_size:>8,} B" for path in made)


def main() -> int:
    """Command line; 1 and one line on stderr when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m boards.tools.native", description=__doc__)
    parser.add_argument("arch", choices=TOOLCHAINS)
    arch = parser.parse_args().arch
    try:
        if lack := missing(arch):
            raise BuildError(lack)
        print(table(modules(arch)))
    except BoardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
