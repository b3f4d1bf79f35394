"""A glossary finds its terms and nothing else; what a recogniser added goes, and every change is told."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.subtitles.recognition import Glossary, is_sound, made_up, mend, parse_glossary, read_glossary, repeats

GLOSSARY = parse_glossary(
    [
        "# names",
        "",
        "Timbre Studio",
        "VoxCPM",
        "Kubernetes",
        "Schmidt",
        "Smith",
        "泰布尔",
        "open ai = OpenAI",
        "拍森=Python",
    ]
)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("the timber studio is here", "the Timbre Studio is here"),
        (
            "We use tim ber studio's best, vox cpm and kubernetis.",
            "We use Timbre Studio's best, VoxCPM and Kubernetes.",
        ),
        ("Schmitt met smith and Schmidt.", "Schmidt met Smith and Schmidt."),
        ("我用泰 布 尔和拍森。", "我用泰布尔和Python。"),
        ("Open AI said so", "OpenAI said so"),
        ("timbres, cabernets and studios", "timbres, cabernets and studios"),
        ("vox. CPM", "vox. CPM"),
    ],
)
def test_terms_of_a_glossary(heard: str, meant: str) -> None:
    text, told = mend(heard, GLOSSARY)
    assert text == meant
    assert bool(told) == (heard != meant)
    assert mend(text, GLOSSARY) == (meant, [])


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        ("I I think the the dog", "I think the dog"),
        ("the, the dog", "the dog"),
        ("very very good, no no, that that", "very very good, no no, that that"),
        ("thank you thank you thank you thank you thank you.", "thank you."),
        ("好的好的好的好的好的，走", "好的，走"),
        ("no no no no", "no no no no"),
        ("five 1 1 1 1 1 1 1", "five 1 1 1 1 1 1 1"),
        ("[Music] Hello ♪ there", "Hello there"),
        ("[Music]", "[Music]"),
    ],
)
def test_what_a_recogniser_added(heard: str, left: str) -> None:
    text, told = mend(heard)
    assert text == left
    assert bool(told) == (heard != left)


def test_what_is_made_up() -> None:
    assert all(map(made_up, ["Thanks for watching!", "Thank you so much for watching.", "请不吝点赞 订阅", "感谢观看"]))
    assert not any(map(made_up, ["Thank you.", "I was watching.", "大家好", ""]))
    assert is_sound("[Music]")
    assert is_sound("♪")
    assert not any(map(is_sound, ["Hello [laughs]", "...", "", "(he left)"]))
    assert repeats(["a", "b", "B.", "b", "c", "c", "", "", ""]) == {2, 3}


@given(st.text(max_size=80), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_and_any_glossary(text: str, lines: list[str]) -> None:
    changed, told = mend(text, parse_glossary(lines))
    assert told or changed == text.strip() or changed == text
    assert mend(text, Glossary())[0].strip() or not text.strip()


def test_a_glossary_is_a_text_file_in_any_encoding(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes("泰布尔\n\n拍森=Python\n".encode("gb18030"))
    assert parse_glossary(read_glossary(path)) == Glossary(("泰布尔", "Python"), (("拍森", "Python"),))
    with pytest.raises(BadInput, match="cannot be read"):
        read_glossary(tmp_path / "none.txt")
    path.write_bytes(b"x" * 2_000_000)
    with pytest.raises(BadInput, match="too large"):
        read_glossary(path)
