"""`cellkeeper`: every room registers its own command in the entry points group `cellkeeper.commands`."""

from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

import click

from cloud import __version__

GROUP = "cellkeeper.commands"


def _hint(entry: EntryPoint, error: ImportError) -> str:
    # extras are named after what they are for: pip says which of them has the module
    missing = error.name or str(error)
    return f"needs the Python module {missing!r}, which is not installed (see the extras in pyproject.toml)"


def _unavailable(entry: EntryPoint, hint: str) -> click.Command:
    def refuse() -> NoReturn:
        raise click.ClickException(f"`cellkeeper {entry.name}` {hint}")

    return click.Command(
        entry.name,
        callback=refuse,
        short_help=f"(not available: {hint})",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )


class Rooms(click.Group):
    """Loads a command when it is called; one that cannot be loaded says why and harms no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({entry.name for entry in entry_points(group=GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for entry in entry_points(group=GROUP, name=cmd_name):
            try:
                return entry.load()
            except (ImportError, AttributeError) as error:
                hint = _hint(entry, error) if isinstance(error, ImportError) else f"is broken: {error}"
                return _unavailable(entry, hint)
        return None


@click.group(cls=Rooms)
@click.version_option(__version__, prog_name="cellkeeper")
def main() -> None:
    """Open battery management for second-life packs, from the cell to the fleet."""
