"""Names from people: whatever they type becomes one component that is safe on three systems, and keeps its letters."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import BadInput
from core.paths import MAX_NAME_BYTES, MAX_NAME_CHARS, REPO_ROOT, inside, safe_filename, safe_name, unique_path

FORBIDDEN = set('/\\:*?"<>|')
DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in "0123456789¹²³"
}
any_text = st.text(st.characters(codec=None), max_size=300) | st.text(
    "./\\ .:CONcomNUL1²\u200d\u0301\ud800é", max_size=40
)


@given(any_text)
@example("..")
@example(". . /")
@example("CON .txt")
@example("\u202egnp.exe")
@example("e\x00\u0301" * 90)
@example("声" * 90)
def test_a_safe_name_is_safe_everywhere_and_stays_itself(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name) <= MAX_NAME_CHARS
    assert len(name.encode("utf-8")) <= MAX_NAME_BYTES  # also: no lone surrogates
    assert not FORBIDDEN & set(name)
    assert all(unicodedata.category(char) not in ("Cc", "Cs") for char in name)
    assert name == unicodedata.normalize("NFC", name)
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.split(".")[0].rstrip().lower() not in DEVICES
    assert Path(name).name == name
    assert safe_name(name) == name


@given(any_text)
def test_so_is_a_safe_file_name(text: str) -> None:
    name = safe_filename(text)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Anna", "Anna"),
        ("  Anna  Maria ", "Anna Maria"),
        ("王菲 🎤", "王菲 🎤"),
        ("👩‍🎤 voice", "👩‍🎤 voice"),  # the joiner inside an emoji stays
        ("Zoe\u0308", "Zoë"),
        ("O'Brien “live”", "O'Brien “live”"),
        ('say "hi"', "say _hi_"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a/b\\c", "a_b_c"),
        ("..", "voice"),
        ("", "voice"),
        ("\x00\x1b", "voice"),
        ("con", "_con"),
        ("Com1.wav", "_Com1.wav"),
        ("console", "console"),
        ("trailing...", "trailing"),
        (".hidden", "hidden"),
        ("two\nlines", "two lines"),
        ("\u202egnp.exe", "gnp.exe"),
    ],
)
def test_known_names(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_a_long_file_name_keeps_its_extension() -> None:
    name = safe_filename("声" * 200 + ".flac")
    assert name.endswith("声.flac")
    assert len(name.encode("utf-8")) <= MAX_NAME_BYTES
    assert safe_filename(".flac") == "flac"


@given(st.lists(st.sampled_from(["..", ".", "a", "b ü", "", "/", "~", "c.wav"]), max_size=8))
def test_inside_gives_a_path_inside_or_refuses(steps: list[str]) -> None:
    root = REPO_ROOT / "workspace"
    wanted = "/".join(steps)
    try:
        found = inside(root, wanted)
    except BadInput:
        assert not Path(os.path.normpath(root / wanted)).is_relative_to(root)
    else:
        assert found.is_relative_to(root)


def test_inside_follows_links_before_it_looks(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "kept").symlink_to(root / "real")
    assert inside(root, "kept") == (root / "real").resolve()
    assert inside(root, root / "x") == (root / "x").resolve()
    for bad in ("link/file", "link", "../outside", str(outside), "a\x00b"):
        with pytest.raises(BadInput):
            inside(root, bad)
    # A brother whose name begins like the root's is not inside it.
    (tmp_path / "rootless").mkdir()
    with pytest.raises(BadInput, match="outside"):
        inside(root, tmp_path / "rootless")


def test_unique_path_counts_and_stays_within_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    assert unique_path(path) == path
    path.touch()
    assert unique_path(path).name == "take (2).wav"
    (tmp_path / "take (2).wav").touch()
    assert unique_path(path).name == "take (3).wav"
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone")
    assert unique_path(tmp_path / "dangling.wav").name == "dangling (2).wav"
    long = tmp_path / ("ü" * 125 + ".flac")  # 255 bytes
    long.touch()
    second = unique_path(long)
    second.touch()
    assert second != long
    assert second.suffix == ".flac"
