"""Mutation score of what protects: small faults in safety/, the fault table and the frames, one at a time.

A mutant is killed when a firmware test fails on it or runs away. One that all of them pass shows what no test
looks at, or changes nothing that can be seen. Mutants live in memory only, each in a process of its own. Of
the libraries for this mutmut leaves out decorated functions, which is all of viper, and cosmic-ray rewrites
the sources in place.

`python -m bench.mutation --count 500 --seed 2 --module bms.link.frame` names every survivor.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.machinery import ModuleSpec, SourceFileLoader
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from types import CodeType, ModuleType

import click

from bench.mutants import FIRMWARE, ROOT, Mutant, compiled, mutants, path_of
from bench.row import Row

TESTS = ROOT / "tests" / "firmware"
_SAFETY = (
    "test_monitor", "test_contactor", "test_measure", "test_kernel", "test_guard", "test_safety_properties",
    "test_protections",
)  # fmt: skip
SUITES = {
    "bms.link.frame": ("test_frame", "test_frame_properties", "test_afe_serial"),
    "bms.tables.faults": _SAFETY,
    **{
        f"bms.safety.{name}": (f"test_{name}", *_SAFETY)
        for name in ("contactor", "guard", "kernel", "measure", "monitor")
    },
}
"""Modules that are mutated, and the test files that must find it; the first one is tried first."""
COUNT, SEED = 300, 1
_SLACK_S = 2.0  # of CPU, on top of ten times what a test takes on the sound code


class _Mutated(SourceFileLoader):
    """Finds and loads one module from code that was compiled before, whatever lies on the disk."""

    def __init__(self, module: str, code: CodeType) -> None:
        super().__init__(module, str(path_of(module)))
        self._code = code

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """For sys.meta_path."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """As changed."""
        del fullname
        return self._code


Timed = list[tuple[float, str, str]]
"""Tests by what they take: CPU seconds, module, function."""


def _tests(module: ModuleType) -> dict[str, Callable[[], object]]:
    return {
        name: test
        for name, test in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_")
    }


def _begin(mutant: Mutant | None) -> None:
    """In the child: hypothesis reproducible and quick to give up, the mutant in the place of its module."""
    from hypothesis import Phase, settings

    settings.register_profile("mutation", derandomize=True, database=None, phases=[Phase.generate])
    settings.load_profile("mutation")
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    sys.path[:0] = [str(FIRMWARE), str(TESTS)]
    importlib.import_module("bms")  # installs the desk's stand-ins
    if mutant:
        sys.meta_path.insert(0, _Mutated(mutant.module, compiled(mutant)))


def _time(suite: set[str], pipe: Connection) -> None:
    """In a child: every test on the sound code, and what it takes."""
    _begin(None)
    found: Timed = []
    for name in suite:
        for test, call in _tests(importlib.import_module(name)).items():
            begun = time.process_time()
            call()
            found.append((time.process_time() - begun, name, test))
    pipe.send(found)


def _try(mutant: Mutant, timed: Timed) -> None:
    """In a child: exit 0 when every test passes; the first that fails or runs away ends it."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * _SLACK_S)
    _begin(mutant)
    for seconds, name, test in timed:
        # CPU time, and the default action: nothing that a mutant does to Python can catch it
        signal.setitimer(signal.ITIMER_VIRTUAL, 10 * seconds + _SLACK_S)
        _tests(importlib.import_module(name))[test]()


def _timed(context: ForkServerContext, suite: set[str]) -> Timed:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_time, args=(suite, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError(f"{', '.join(sorted(suite))}: fails on the sound code; see above") from None
    finally:
        process.join()


def survivors(chosen: Sequence[Mutant], jobs: int, tell: Callable[[str], None]) -> list[Mutant]:
    """Those of `chosen` that no test finds; tells of each of them, and how far it is."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.mutants", "click", "hypothesis.stateful", "pytest"])
    timed = _timed(context, {name for mutant in chosen for name in SUITES[mutant.module]})
    tests = {
        module: sorted(
            (test for test in timed if test[1] in suite), key=lambda test: (test[1] != suite[0], test)
        )
        for module, suite in SUITES.items()
    }

    def survives(mutant: Mutant) -> Mutant | None:
        process = context.Process(target=_try, args=(mutant, tests[mutant.module]))
        process.start()
        process.join()
        return None if process.exitcode else mutant

    alive: list[Mutant] = []
    with ThreadPoolExecutor(jobs) as pool:
        for done, result in enumerate(as_completed([pool.submit(survives, each) for each in chosen]), 1):
            if found := result.result():
                alive.append(found)
                tell(f"survived: {found.what}")
            if done % 25 == 0 or done == len(chosen):
                tell(f"mutants: {done} of {len(chosen)}, {done - len(alive)} killed")
    return alive


def _rows(chosen: Sequence[Mutant], alive: Sequence[Mutant], of: int) -> list[Row]:
    rows: list[Row] = []
    for module in (*SUITES, ""):
        total = sum(mutant.module.startswith(module) for mutant in chosen)
        left = sum(mutant.module.startswith(module) for mutant in alive)
        if total:
            note = f"{total - left} of {total} killed" + ("" if module else f", sampled of {of:,}")
            rows.append(Row(f"mutants killed, {module or 'all'}", 100 * (total - left) / total, "%", note))
    return rows


def run(
    count: int = COUNT, seed: int = SEED, modules: Sequence[str] = tuple(SUITES), jobs: int | None = None
) -> list[Row]:
    """Rows of the score; progress and the survivors go to stderr."""
    every = [mutant for module in modules for mutant in mutants(module)]
    chosen = random.Random(seed).sample(every, min(count, len(every)))  # noqa: S311

    alive = survivors(chosen, jobs or os.cpu_count() or 1, lambda line: click.echo(line, err=True))
    return _rows(chosen, alive, len(every))


@click.command()
@click.option("--count", default=COUNT, show_default=True, help="Mutants in the sample.")
@click.option("--seed", default=SEED, show_default=True, help="Of the sample.")
@click.option("--module", "modules", multiple=True, type=click.Choice(list(SUITES)), help="Only of these.")
@click.option("--jobs", type=int, help="At a time; default: one a processor.")
def main(count: int, seed: int, modules: tuple[str, ...], jobs: int | None) -> None:
    """Print the mutation score of a sample, and who survived."""
    for row in run(count, seed, modules or tuple(SUITES), jobs):
        click.echo(f"{row.name}: {row.value:.1f} % ({row.note})")


if __name__ == "__main__":
    main()
