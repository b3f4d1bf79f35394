"""Archives from strangers: whole ones come out as they went in, traps stay shut."""

import stat
import zipfile
from pathlib import Path

import pytest

from core.errors import BadInput
from core.models import unpack as unpacking
from core.models.unpack import unpack


def made(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    archive = made(tmp_path / "模型.zip", {"logs/44k/G_1.pth": b"g" * 3_000_000, "logs/44k/歌 config.json": b"{}"})
    files = unpack(archive, tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == [
        "logs/44k/G_1.pth",
        "logs/44k/歌 config.json",
    ]
    assert files[0].read_bytes() == b"g" * 3_000_000


def test_nothing_lands_outside_or_over_another(tmp_path: Path) -> None:
    names = ["../../evil.pth", "/etc/evil.pth", "a\\..\\..\\b.pth", "con.txt", "x/y.pth", "x/y.pth "]
    files = unpack(made(tmp_path / "a.zip", dict.fromkeys(names, b"1")), tmp_path / "in" / "out")
    assert len({str(file).lower() for file in files}) == len(names)
    assert all(file.resolve().is_relative_to((tmp_path / "in" / "out").resolve()) for file in files)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "in"]


def test_a_bomb_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    bomb = made(tmp_path / "bomb.zip", {"G_1.pth": bytes(80 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(BadInput, match="would unpack to 80"):
        unpack(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_files_links_and_locks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_FILES", 3)
    many = made(tmp_path / "many.zip", {str(i): b"" for i in range(4)})
    with pytest.raises(BadInput, match="4 files"):
        unpack(many, tmp_path / "out")
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as archive:
        entry = zipfile.ZipInfo("passwd.pth")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(BadInput, match="links"):
        unpack(link, tmp_path / "out")
    locked = bytearray(made(tmp_path / "locked.zip", {"a": b"x"}).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    with pytest.raises(BadInput, match="encrypted"):
        unpack(tmp_path / "locked.zip", tmp_path / "out")


@pytest.mark.parametrize("cut", [10, 200])
def test_a_damaged_archive_is_said(tmp_path: Path, cut: int) -> None:
    whole = made(tmp_path / "a.zip", {"a": b"x" * 1000}, zipfile.ZIP_DEFLATED).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:-cut] if cut < len(whole) else b"PK")
    with pytest.raises(BadInput, match="not a whole zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    flipped = bytearray(whole)
    flipped[34] ^= 255  # inside the compressed bytes
    (tmp_path / "b.zip").write_bytes(bytes(flipped))
    with pytest.raises(BadInput, match="not a whole zip"):
        unpack(tmp_path / "b.zip", tmp_path / "out2")
