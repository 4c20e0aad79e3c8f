"""`make flash`: its command lines are golden, its errors are one line."""

import shutil
from pathlib import Path

import pytest
from test_partitions import image

from boards.tools import boardfile, build, flash, partitions
from boards.tools.boardfile import BoardError, BoardFile

GOLDEN = Path(__file__).parent / "golden"
SERIAL = ["--port", "/dev/ttyACM0"]


@pytest.fixture(autouse=True)
def _in_an_own_build_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # the plan shows paths from the project's root; tests make another project's root of tmp_path
    def shown(path: Path) -> str:
        return path.relative_to(tmp_path).as_posix()

    monkeypatch.setattr(boardfile, "BUILD", tmp_path / "build")
    monkeypatch.setattr(flash, "_shown", shown)
    monkeypatch.setattr(flash, "_MOUNTS", (str(tmp_path / "media"),))
    monkeypatch.chdir(tmp_path)
    Path("ESP32.bin").write_bytes(image())
    Path("ESP32S3.bin").write_bytes(image(chip=9, offset=0))
    for suffix in ("hex", "bin", "uf2"):
        Path(f"RT.{suffix}").write_bytes(bytes(5000))
    monkeypatch.setattr("shutil.which", only_blhost)


def only_blhost(name: str) -> str | None:
    return f"/opt/{name}" if name == "blhost" else None


def nothing(name: str) -> None:
    """Finds no tool and no package."""


def absolute(name: str) -> str:
    return str(Path(name).resolve())


CASES = {
    "esp32": ["esp32", *SERIAL, "--firmware", "ESP32.bin"],
    "esp32_erase": ["esp32", *SERIAL, "--firmware", "ESP32.bin", "--erase"],
    "esp32_application": ["esp32", *SERIAL],
    "esp32s3": ["esp32s3", *SERIAL, "--firmware", "ESP32S3.bin"],
    "mimxrt1060_evk_drive": [
        "mimxrt1060_evk",
        *SERIAL,
        "--firmware",
        "RT.hex",
        "--drive",
        "media/u/RT1060-EVK",
    ],
    "mimxrt1060_evk_uf2": [
        "mimxrt1060_evk",
        *SERIAL,
        "--firmware",
        "RT.uf2",
        "--drive",
        "media/u/RT1060BOOT",
    ],
    "mimxrt1060_evk_blhost": ["mimxrt1060_evk", *SERIAL, "--firmware", "RT.bin"],
    "mps2_an500": ["mps2_an500", "--port", "socket://127.0.0.1:4000"],
}


@pytest.mark.parametrize("case", CASES)
def test_command_lines_are_the_golden_ones(
    case: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [absolute(word) if Path(word).is_file() else word for word in CASES[case]]
    for word in words:
        if word.startswith("media/"):
            Path(word).mkdir(parents=True)
    assert flash.main([*words, "--dry-run"]) == 0
    printed = capsys.readouterr().out.replace(f"{tmp_path}/", "")
    assert printed == (GOLDEN / f"flash_{case}.txt").read_text()


def test_the_image_that_is_flashed_has_our_partition_table(tmp_path: Path) -> None:
    assert flash.main(["esp32", *SERIAL, "--firmware", absolute("ESP32.bin"), "--dry-run"]) == 0
    assert b"nvm\0" in (tmp_path / "build" / "esp32" / "image.bin").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["esp99", *SERIAL], "unknown board 'esp99'"),
        (["esp32"], "which port? PORT=/dev/ttyUSB0"),
        (["esp32", "--port", "/dev/ttyNOT"], "port /dev/ttyNOT is not there; serial ports here: "),
        (
            ["esp32", "--port", "socket://127.0.0.1:1"],
            "nothing listens there; is the emulated board running?",
        ),
        (["esp32", "--port", "socket://127.0.0.1:x"], "nothing listens there"),
        (["mps2_an500", "--port", "/dev/ttyS0"], "needs socket://HOST:NUMBER"),
        (["mps2_an500", "--port", "socket://h:1", "--firmware", "RT.bin"], "leave FIRMWARE out"),
        (["esp32", *SERIAL, "--firmware", "gone.bin"], "firmware file gone.bin is not there; "),
        (["esp32", *SERIAL, "--firmware", "RT.hex"], "firmware file RT.hex must end in .bin"),
        (["esp32", *SERIAL, "--firmware", "ESP32S3.bin"], "ESP32S3.bin: the image is for esp32s3"),
        (["mimxrt1060_evk", *SERIAL, "--firmware", "RT.hex"], "blhost writes .bin files, not RT.hex"),
        (["mimxrt1060_evk", *SERIAL, "--firmware", "RT.hex", "--drive", "gone"], "drive gone is not there"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash.main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("flash: ")
    assert len(error.splitlines()) == 1
    assert message in error


def other_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, was: str, becomes: str) -> BoardFile:
    """The ESP32 in a copy of boards/ where one line of its board.toml is another."""
    root = boardfile.BOARDS.parent
    shutil.copytree(boardfile.BOARDS, folder / "boards", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "firmware").symlink_to(root / "firmware")
    path = folder / "boards" / "esp32" / "board.toml"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, becomes))
    monkeypatch.setattr(boardfile, "BOARDS", folder / "boards")
    return boardfile.read("esp32")


def test_a_missed_size_budget_fails_the_build_and_warns_when_flashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = other_settings(tmp_path, monkeypatch, "mpy = 98304", "mpy = 1000")
    with pytest.raises(BoardError, match=r"budgets.mpy in boards/esp32/board.toml is 1,000 B"):
        build.build_application("esp32")
    capsys.readouterr()
    flash.make_application(row)
    warning = capsys.readouterr().err
    assert warning.startswith("flash: warning: esp32: the application has ")
    assert warning.endswith(" B of .mpy, budgets.mpy in boards/esp32/board.toml is 1,000 B\n")
    assert (row.build / "device" / "lib" / "board.mpy").is_file()


def test_no_warning_within_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flash.make_application(other_settings(tmp_path, monkeypatch, "mpy = 98304", "mpy = 1000000"))
    assert capsys.readouterr().err == ""


def test_an_application_larger_than_the_file_system_is_not_flashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = other_settings(tmp_path, monkeypatch, "space = 1048576", "space = 131072")
    with pytest.raises(BoardError, match=r"flash.space in boards/esp32/board.toml is 131,072 B"):
        flash.make_application(row)


def test_every_board_says_how_large_its_file_system_is() -> None:
    for name in boardfile.names():
        assert boardfile.read(name).flash_setting("space", int) > 0
    for name in ("esp32", "esp32s3"):
        row = boardfile.read(name)
        vfs = next(p for p in partitions.read(row.folder / "partitions.csv") if p.name == "vfs")
        assert row.flash["space"] == vfs.size


def test_without_a_drive_and_without_blhost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", nothing)
    assert flash.main(["mimxrt1060_evk", *SERIAL, "--firmware", "RT.bin"]) == 1
    assert "no drive named RT1060-EVK, " in capsys.readouterr().err


def test_a_mounted_drive_is_found_by_label_and_a_bootloader_by_its_file(tmp_path: Path) -> None:
    row = boardfile.read("mimxrt1060_evk")
    media = tmp_path / "media"
    for name in ("u/stick", "u/RT1060-EVK", "u/SOMEBOOT"):
        (media / name).mkdir(parents=True)
    (media / "u/SOMEBOOT/INFO_UF2.TXT").write_text("UF2")
    assert flash.find_drive(row, False, [str(media)]) == media / "u/RT1060-EVK"
    assert flash.find_drive(row, True, [str(media)]) == media / "u/SOMEBOOT"
    assert flash.find_drive(row, False, [str(tmp_path / "nothing")]) is None


def test_a_file_is_copied_onto_the_drive_and_a_full_one_is_named(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    flash.Copy(Path("RT.hex"), drive).do()
    assert (drive / "RT.hex").read_bytes() == Path("RT.hex").read_bytes()
    with pytest.raises(BoardError, match=r"did not take RT.hex"):
        flash.Copy(Path("RT.hex"), tmp_path / "gone").do()


def test_a_missing_tool_and_a_failing_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BoardError, match=r"sdphost is not on PATH"):
        flash.Run(("sdphost", "x")).do()
    with pytest.raises(BoardError, match=r"mpremote ended with status \d+: mpremote connect"):
        flash.Run(("mpremote", "connect", "socket://127.0.0.1:1", "reset")).do()
    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(BoardError, match=r"esptool is not installed: pip install"):
        flash.Run(("esptool", "version")).do()
