"""Builds a board's image: `python -m boards.tools.build BOARD [--safety-timer hard|scheduled]`.

Writes build/<board>/firmware.elf and sizes.json, prints the sizes against the budgets in board.toml and
fails when one is over its budget. The scheduled variant of a hard board goes to build/<board>-scheduled/,
that without the application frozen in (--bare) to build/<board>-bare/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from boards.tools import boardfile, heap_check, mpy, native
from boards.tools.micropython_source import BuildError, build_lock, source_tree

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {"text": (".text", ".ARM.exidx"), "data": (".data",), "bss": (".bss",), "heap": (".heap",)}
TOOLCHAIN = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
# What a make above us, or a shell, may have set for other compilers.
FOREIGN_VARIABLES = frozenset(
    ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CFLAGS", "CPPFLAGS", "LDFLAGS", "BUILD", "V")
)
TIMERS = ("hard", "scheduled")


@dataclass(frozen=True)
class Job:
    """One image to build."""

    board: str
    safety_timer: str
    arch: str
    budgets: dict[str, int]
    port: Path
    out: Path
    bare: bool = False


def load_job(board: str, safety_timer: str | None, build: Path, bare: bool = False) -> Job:
    """Reads boards/<board>/board.toml. `safety_timer` None means the board's own."""
    row = boardfile.read(board)
    if not has_port(row):
        raise BuildError(f"board {board!r} has no port/: its MicroPython image comes from its makers")
    timer = safety_timer or row.safety_timer
    name = board if timer == row.safety_timer else f"{board}-{timer}"
    out = build / (f"{name}-bare" if bare else name)
    return Job(board, timer, row.arch, dict(row.budgets), row.folder / "port", out, bare)


def has_port(row: boardfile.BoardFile) -> bool:
    """True where we build MicroPython itself; elsewhere its makers' image is used."""
    return (row.folder / "port" / "Makefile").is_file()


def check_tools() -> None:
    """Raises BuildError for the first tool that is missing, naming the package that brings it."""
    needed = {
        "make": "apt-get install make",
        "gcc": "apt-get install gcc",
        "dpkg-parsechangelog": "apt-get install dpkg-dev",
        "arm-none-eabi-gcc": TOOLCHAIN,
    }
    for tool, remedy in needed.items():
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is not on PATH: {remedy}")
    probe = subprocess.run(
        ["arm-none-eabi-gcc", "-E", "-x", "c", "-"],
        input="#include <string.h>\n",
        text=True,
        capture_output=True,
    )
    if probe.returncode != 0:
        raise BuildError(f"arm-none-eabi-gcc has no C library headers: {TOOLCHAIN}")


def _make(folder: Path, log: Path, variables: dict[str, str]) -> None:
    """Runs make apart from any make that called us; output goes to `log`, an error's lines to stderr."""
    env = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    command = [
        "make",
        "-C",
        str(folder),
        f"-j{os.cpu_count() or 1}",
        *(f"{k}={v}" for k, v in variables.items()),
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as handle:
        done = subprocess.run(
            command, stdout=handle, stderr=subprocess.STDOUT, env=env, stdin=subprocess.DEVNULL
        )
    if done.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        first = next((i for i, x in enumerate(lines) if "error" in x.lower()), max(0, len(lines) - 12))
        print("\n".join(line[:300] for line in lines[first : first + 12]), file=sys.stderr)
        raise BuildError(f"make failed in {folder.name}: the whole output is in {log}")


def _fingerprint(job: Job, tree: Path) -> str:
    """What make's own dependencies do not see: the tree, the compiler, the options, the Makefile."""
    version = subprocess.run(
        ["arm-none-eabi-gcc", "--version"], text=True, capture_output=True, check=True
    ).stdout
    digest = hashlib.sha256()
    for part in (str(tree), version.splitlines()[0], job.safety_timer, job.arch, str(job.bare)):
        digest.update(part.encode() + b"\0")
    for path in (tree / "py" / "mpconfig.h", tree / "py" / "py.mk", job.port / "Makefile"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _clear_if_changed(folder: Path, fingerprint: str) -> None:
    stamp = folder / ".fingerprint"
    if not stamp.is_file() or stamp.read_text() != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        stamp.write_text(fingerprint)


def build_mpy_cross(tree: Path, build: Path) -> Path:
    """mpy-cross from the same tree, since .mpy files and frozen code must match the interpreter."""
    objects = build / "mpy-cross"
    version = (tree / "py" / "mpconfig.h").read_bytes()
    _clear_if_changed(objects, hashlib.sha256(str(tree).encode() + version).hexdigest())
    _make(tree / "mpy-cross", build / "mpy-cross.log", {"BUILD": str(objects)})
    return objects / "mpy-cross"


def build_image(job: Job, tree: Path, mpy_cross: Path) -> Path:
    """Compiles and links; returns the path of firmware.elf."""
    objects = job.out / "obj"
    _clear_if_changed(objects, _fingerprint(job, tree))
    variables = {
        "MICROPYTHON": str(tree),
        "BUILD": str(objects),
        "SAFETY_TIMER": job.safety_timer,
        "MPY_ARCH": job.arch,
        "MICROPY_MPYCROSS": str(mpy_cross),
        "MICROPY_MPYCROSS_DEPENDENCY": str(mpy_cross),
    }
    if job.bare:
        variables["FROZEN_MANIFEST"] = str(job.port / "bare" / "manifest.py")
    _make(job.port, job.out / "build.log", variables)
    made, image = objects / "firmware.elf", job.out / "firmware.elf"
    if not image.exists() or image.stat().st_mtime_ns != made.stat().st_mtime_ns:
        shutil.copy2(made, image)
    return image


def image_sizes(image: Path) -> dict[str, int]:
    """Bytes of text, data, bss and heap in the image."""
    done = subprocess.run(
        ["arm-none-eabi-size", "-A", str(image)], text=True, capture_output=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    sections = {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}
    return {name: sum(sections.get(s, 0) for s in parts) for name, parts in SECTIONS.items()}


def report(job: Job, sizes: dict[str, int]) -> list[str]:
    """Prints the table, writes sizes.json and returns what is over its budget, one line each."""
    print(f"{job.board} ({job.safety_timer} safety timer)\n{'':6}{'bytes':>10}{'budget':>10}{'used':>7}")
    for name, size in sizes.items():
        budget = job.budgets[name]
        print(f"{name:6}{size:>10}{budget:>10}{size / budget:>7.0%}")
    record = {"board": job.board, "safety_timer": job.safety_timer, "sizes": sizes, "budgets": job.budgets}
    (job.out / "sizes.json").write_text(json.dumps(record, indent=2) + "\n")
    return [
        f"{name} is {size} bytes, {size - job.budgets[name]} over its budget of {job.budgets[name]}"
        for name, size in sizes.items()
        if size > job.budgets[name]
    ]


def build(
    board: str, safety_timer: str | None = None, folder: Path = ROOT / "build", bare: bool = False
) -> Path:
    """Builds one board's image, its native kernels and those of the unix port; returns the image's path.

    Raises BuildError.
    """
    job = load_job(board, safety_timer, folder, bare)
    check_tools()
    with build_lock(folder):
        tree = source_tree(folder)
        image = build_image(job, tree, build_mpy_cross(tree, folder))
        over = report(job, image_sizes(image))
        for arch in (job.arch, native.UNIX):
            lack = native.missing(arch)
            print(lack or native.table(native.compile_all(arch, tree, folder)))
    if over:
        raise BuildError("; ".join(over) + f" (boards/{board}/board.toml)")
    return image


def build_application(board: str, folder: Path = ROOT / "build") -> None:
    """Cross-compiles the application, and for a board with that budget measures what its heap has left.

    Raises BoardError when something does not compile, is missing or breaks a budget.
    """
    row = boardfile.read(board)
    sizes = mpy.build_mpy(board, row.build, natives=lambda arch: native.modules(arch, folder))
    print(sizes.table())
    sizes.check()
    if heap_check.BUDGET in row.budgets:
        image = build(heap_check.EMULATED, folder=folder)
        with build_lock(folder):
            compiler = build_mpy_cross(source_tree(folder), folder)
        heap = heap_check.measure(board, image, compiler, row.build)
        print(heap.line())
        heap.check()


def main() -> int:
    """Command line entry: 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m boards.tools.build", description=__doc__)
    parser.add_argument("board")
    parser.add_argument("--safety-timer", choices=TIMERS, help="default: what board.toml says")
    parser.add_argument("--bare", action="store_true", help="without the application frozen in")
    args = parser.parse_args()
    try:
        if not has_port(boardfile.read(args.board)):
            build_application(args.board)
            return 0
        image = build(args.board, args.safety_timer, bare=args.bare)
    except boardfile.BoardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(image.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
