"""Brings MicroPython's source tree: Debian's source package, fetched by apt with a private configuration.

The mirror and the keyring are those of the system's own Debian sources; those sources stay as they are.
The environment variable MICROPYTHON names a tree to use instead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boards.tools.boardfile import BoardError

SUITE = "trixie"
PACKAGE = "micropython"
# Suites that name Debian itself; other archives use other names or lack the component main.
DEBIAN_SUITES = frozenset(
    (
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
        "sid",
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
    )
)
OVERRIDE_HINT = "or set MICROPYTHON to a MicroPython 1.25.0 source tree"


class BuildError(BoardError):
    """What is missing or went wrong, in one line, with what would help."""


@dataclass(frozen=True)
class Mirror:
    """One of the system's Debian archives: its address and the keys it is signed by (empty: apt's own)."""

    uri: str
    signed_by: str


def _deb822_mirrors(text: str) -> Iterator[Mirror]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
        enabled = fields.get("enabled", "yes").lower() != "no"
        if enabled and DEBIAN_SUITES & set(suites) and "main" in components:
            for uri in fields.get("uris", "").split():
                yield Mirror(uri, fields.get("signed-by", ""))


def _list_mirrors(text: str) -> Iterator[Mirror]:
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line.startswith(("deb ", "deb-src ")):
            continue
        rest = line.split(None, 1)[1]
        options = ""
        if rest.startswith("["):
            options, rest = rest[1:].split("]", 1)
        words = rest.split()
        if len(words) >= 3 and words[1] in DEBIAN_SUITES and "main" in words[2:]:
            keys = [o.split("=", 1)[1] for o in options.split() if o.lower().startswith("signed-by=")]
            yield Mirror(words[0], keys[0].replace(",", " ") if keys else "")


def debian_mirrors(etc_apt: Path = Path("/etc/apt")) -> list[Mirror]:
    """Every Debian archive on a network that the system's sources name, the likeliest first."""
    found: list[Mirror] = []
    for path in (etc_apt / "sources.list", *sorted(etc_apt.glob("sources.list.d/*"))):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += _deb822_mirrors(text) if path.suffix == ".sources" else _list_mirrors(text)
    usable = [m for m in dict.fromkeys(found) if not m.uri.startswith(("cdrom:", "file:", "copy:"))]
    return sorted(usable, key=lambda m: not m.uri.rstrip("/").endswith("/debian"))


def _apt_config(work: Path, mirror: Mirror) -> Path:
    """Writes a configuration under which apt touches nothing outside `work`, the system's hooks included."""
    for folder in ("parts", "lists/partial", "cache/archives/partial", "log"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    stanza = f"Types: deb-src\nURIs: {mirror.uri}\nSuites: {SUITE}\nComponents: main\n"
    if mirror.signed_by:
        stanza += f"Signed-By: {mirror.signed_by}\n"
    (work / "parts" / "debian.sources").write_text(stanza)
    config = work / "apt.conf"
    config.write_text(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n"
        f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{work}/parts";\n'
        f'Dir::State::lists "{work}/lists";\nDir::Cache "{work}/cache";\nDir::Log "{work}/log";\n'
        'Acquire::Languages "none";\nAcquire::IndexTargets::deb-src::Contents-dsc::DefaultEnabled "false";\n'
        'APT::Sandbox::User "root";\n'
    )
    return config


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        lines = [x for x in (done.stderr + done.stdout).splitlines() if x.strip()]
        errors = [x for x in lines if x.startswith(("E:", "dpkg-source: error"))] or lines[-1:]
        raise BuildError(f"{command[0]} failed: {errors[0] if errors else 'no message'}")


def _download(work: Path, mirror: Mirror) -> Path:
    config = _apt_config(work, mirror)
    _run(["apt-get", "-c", str(config), "update", "--error-on=any"], work)
    _run(["apt-get", "-c", str(config), "source", "--download-only", PACKAGE], work)
    found = sorted(work.glob(f"{PACKAGE}_*.dsc"))
    if not found:
        raise BuildError(f"apt-get brought no {PACKAGE} source package from {mirror.uri} {SUITE}")
    return found[-1]


def _fetch(folder: Path) -> None:
    for tool, package in (("apt-get", "apt"), ("dpkg-source", "dpkg-dev")):
        if shutil.which(tool) is None:
            raise BuildError(f"{tool} is not on PATH: apt-get install {package}, {OVERRIDE_HINT}")
    mirrors = debian_mirrors()
    if not mirrors:
        raise BuildError(f"no Debian archive in /etc/apt/sources.list*: add one, {OVERRIDE_HINT}")
    work = folder.parent / "micropython-apt"
    problem = BuildError("no mirror")
    for mirror in mirrors:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            package = _download(work, mirror)
            break
        except BuildError as error:
            problem = BuildError(f"{error} ({mirror.uri}); check the network, {OVERRIDE_HINT}")
    else:
        raise problem
    fresh = work / "tree"
    # apt has checked the package against the archive's signed index.
    _run(["dpkg-source", "--no-check", "-x", package.name, str(fresh)], work)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    shutil.rmtree(work)


@contextmanager
def build_lock(build: Path) -> Generator[None]:
    """One builder at a time in a build folder: two boards may be asked for at once."""
    build.mkdir(parents=True, exist_ok=True)
    with (build / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def source_tree(build: Path) -> Path:
    """The MicroPython tree to build from: $MICROPYTHON, else <build>/micropython-src, fetched once."""
    override = os.environ.get("MICROPYTHON", "")
    folder = Path(override).resolve() if override else (build / "micropython-src").resolve()
    if not override and not (folder / "py" / "py.mk").is_file():
        _fetch(folder)
    if not (folder / "py" / "py.mk").is_file():
        raise BuildError(f"MICROPYTHON={override} holds no MicroPython source tree (py/py.mk is not there)")
    return folder
