"""The store: migrations, one writer, readers that see what is committed."""

import sqlite3
from pathlib import Path

import pytest

from cloud.db import MIGRATIONS, Database
from cloud.errors import StartError


def versions(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def test_opens_again_at_the_newest_version(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "store.sqlite3"
    for _ in range(2):
        Database(path).close()
        assert versions(path) == len(MIGRATIONS)


def test_a_signal_that_is_new_in_the_table_gets_its_column(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE tele DROP COLUMN overruns")
    connection.close()
    db = Database(path)
    try:
        with db.reader() as reader:
            assert "overruns" in {row["name"] for row in reader.execute("PRAGMA table_info(tele)")}
    finally:
        db.close()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    db = Database(tmp_path / "store.sqlite3")

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO tokens VALUES (x'00', 'n', 'viewer', 't', 1)")
        raise RuntimeError("half way")

    try:
        with pytest.raises(RuntimeError):
            db.write_now(half)
        with db.reader() as reader:
            assert reader.execute("SELECT count(*) FROM tokens").fetchone()[0] == 0
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("DELETE FROM tokens")
    finally:
        db.close()


@pytest.mark.parametrize("content", ["newer", "garbage"])
def test_a_file_that_is_not_ours_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "store.sqlite3"
    if content == "newer":
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        connection.close()
    else:
        path.write_bytes(b"something else entirely, and long enough to be looked at" * 20)
    before = path.read_bytes()
    with pytest.raises(StartError, match="store"):
        Database(path)
    assert path.read_bytes()[24:] == before[24:] or content == "newer"
    if content == "garbage":
        assert path.read_bytes() == before


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    db = Database(tmp_path / "store.sqlite3")
    try:
        with pytest.raises(StartError, match="in use by another"):
            Database(tmp_path / "store.sqlite3")
    finally:
        db.close()
    Database(tmp_path / "store.sqlite3").close()
