"""Subtitles as people have them: what is clear becomes a cue, what is not is quoted, nothing raises."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.subtitles.cue import Cue, Parsed
from core.subtitles.merge import merge_with_spans
from core.subtitles.parse import MOST_BYTES, parse, read
from core.subtitles.timecode import time_line
from core.subtitles.write import to_srt, to_vtt

ENGLISH = "1\n00:00:01,000 --> 00:00:02,500\nHello there.\n\n2\n00:00:03,040 --> 00:00:05,999\nHow are you?\n"
TIMES = [(1000, 2500), (3040, 5999)]

words = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufeff"), min_size=1, max_size=40)
texts = words.map(lambda text: " ".join(text.split())).filter(lambda text: bool(text) and time_line(text) is None)


@st.composite
def cue_lists(draw: st.DrawFn) -> list[Cue]:
    """Cues in order; some overlap, some touch."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 8))):
        at += draw(st.integers(0, 4_000_000))
        found.append((at, at + draw(st.integers(1, 30_000)), draw(texts)))
    return [Cue(start, end, text, number) for number, (start, end, text) in enumerate(sorted(found), start=1)]


def codes(parsed: Parsed) -> list[str]:
    return [finding.code for finding in parsed.findings]


def spans(parsed: Parsed) -> list[tuple[int, int]]:
    return [(cue.start_ms, cue.end_ms) for cue in parsed.cues]


@given(
    cue_lists().filter(lambda cues: all("<" not in c.text and "{" not in c.text and "\\" not in c.text for c in cues))
)
def test_srt_round_trip(cues: list[Cue]) -> None:
    parsed = parse(to_srt(cues).encode())
    assert parsed.cues == sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))
    assert set(codes(parsed)) <= {"overlap"}


@given(cue_lists())
def test_vtt_round_trip(cues: list[Cue]) -> None:
    parsed = parse(to_vtt(cues).encode())
    assert [(c.start_ms, c.end_ms, c.text) for c in parsed.cues] == [(c.start_ms, c.end_ms, c.text) for c in cues]
    assert parsed.format == "vtt"


@given(st.binary(max_size=2000))
def test_random_bytes_never_raise(data: bytes) -> None:
    assert isinstance(parse(data), Parsed)


ASS = (
    "[Script Info]\n\n[Events]\nFormat: Start, End, Name, Text\n"
    "Dialogue: 0:00:01.00,0:00:02.55,安,{\\i1}日本\\N人口\nDialogue: 0:00:03.00,0:00:04.00,,三千"
)
HAN = ENGLISH.replace("Hello there.", "日本人口三千。").replace("How are you?", "大正、小心。")
VTT = to_vtt([Cue(0, 900, "a < b & c", speaker="安"), Cue(1000, 2000, "日本人口")])
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5", "shift_jis")
SAMPLES = [
    text.replace("\n", end).encode(encoding)
    for text in (ENGLISH, HAN, VTT, ASS)
    for encoding in ENCODINGS
    for end in ("\n", "\r\n")
]


def test_the_samples_are_understood_before_they_are_damaged() -> None:
    assert all(len(parse(sample).cues) == 2 for sample in SAMPLES)


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=200)
def test_random_damage_only_makes_findings(sample: bytes, data: st.DataObject) -> None:
    """Bytes cut out, put in and changed: every cue that comes out is sound, and so is every finding's place."""
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 12))
        damaged[at : at + length] = data.draw(st.binary(max_size=12))
    parsed = parse(bytes(damaged), duration_ms=4000)
    assert parsed.cues == sorted(parsed.cues, key=lambda cue: (cue.start_ms, cue.end_ms))
    for cue in parsed.cues:
        assert 0 <= cue.start_ms < cue.end_ms
        assert cue.text == " ".join(cue.text.split()) != ""
    for finding in parsed.findings:
        assert finding.cue is None or 0 <= finding.cue < len(parsed.cues)
    merged = merge_with_spans(parsed.cues)
    assert [at for first, last in merged.spans for at in range(first, last + 1)] == list(range(len(parsed.cues)))


letters = st.text("abcdefghij", min_size=3, max_size=12)
times = st.sampled_from(
    [
        "00:00:01,000 --> 00:00:02,000",
        "00:00:05,000 --> 00:00:04,000",
        "00:00:01,000 --> 00:99:02,000",
        "00:00:0 --> x1:2",
    ]
)


@given(st.lists(st.one_of(letters, times, st.just(""), st.integers(1, 99).map(str)), max_size=14))
def test_no_word_is_lost_in_silence(lines: list[str]) -> None:
    """Every word of any jumble of lines stands in a cue or in a finding."""
    parsed = parse("\n".join(lines).encode())
    told = " ".join([cue.text for cue in parsed.cues] + [finding.message for finding in parsed.findings])
    long = any(len(finding.message) > 60 and "…" in finding.message for finding in parsed.findings)
    assert long or all(line in told for line in lines if line.isalpha())


@pytest.mark.parametrize(
    ("line", "start", "end", "odd"),
    [
        ("00:00:01,000 --> 00:00:02,500", 1000, 2500, False),
        ("00:00:01.000 --> 00:00:02.500", 1000, 2500, False),
        ("  0:0:1,000-->0:0:2,500  ", 1000, 2500, False),
        ("01:02.003 --> 01:03.004", 62003, 63004, False),
        ("00:27:20,960 --> 100:00:00,001", 1640960, 360000001, False),
        ("00：00：01，000 --> 00：00：02，500", 1000, 2500, False),
        ("00:00:01,5 --> 00:00:02", 1500, 2000, True),
        ("00:00:01,123456 --> 00:00:02,000000", 1123, 2000, True),
        ("00:00:01,000 -> 00:00:02,500", 1000, 2500, True),
        ("00:00:01,000 → 00:00:02,500", 1000, 2500, True),
        ("00:00:01,000 00:00:02,500", 1000, 2500, True),
    ],
)
def test_times_in_many_hands(line: str, start: int, end: int, odd: bool) -> None:
    parsed = parse(f"1\n{line}\nHello\n".encode())
    assert spans(parsed) == [(start, end)]
    assert codes(parsed) == (["odd_time"] if odd else [])


@pytest.mark.parametrize(
    "line",
    ["00:00:75,000 --> 00:01:20,000", "00:61:00,000 --> 01:02:00,000", "00:00:01,000 --> ",
     "-00:00:01,000 --> 00:00:02,000", "00:00:01,000 --> -00:00:02,000", "00:xx:01,000 --> 00:00:02,000"],
)  # fmt: skip
def test_times_that_mean_nothing_are_quoted(line: str) -> None:
    parsed = parse(f"1\n{line}\nHello there\n\n2\n00:00:03,000 --> 00:00:04,000\nNext\n".encode())
    assert [cue.text for cue in parsed.cues] == ["Next"]
    (finding,) = parsed.findings
    assert (finding.line, finding.cue, finding.code) == (2, None, "bad_time")
    assert "Hello there" in finding.message


@pytest.mark.parametrize("line", ["It was 10:30 --> then", "from 10:30 to 11:30", "a --> b: c", "10:30 11:30"])
def test_times_in_speech_stay_speech(line: str) -> None:
    assert [cue.text for cue in parse(f"{ENGLISH}{line}\n".encode()).cues][-1].endswith(line)


def test_zero_and_negative_lengths_are_reported_with_their_text() -> None:
    data = b"1\n00:00:01,000 --> 00:00:01,000\nzero\n\n2\n00:00:05,000 --> 00:00:04,000\nnegative\n"
    parsed = parse(data)
    assert parsed.cues == []
    assert [(f.line, f.code) for f in parsed.findings] == [(2, "no_length"), (6, "no_length")]
    assert "zero" in parsed.findings[0].message
    assert "negative" in parsed.findings[1].message


def test_order_overlap_and_end_are_kept_and_told() -> None:
    data = (
        "1\n00:00:05,000 --> 00:00:07,000\nlater\n\n2\n00:00:01,000 --> 00:00:02,000\nearlier\n\n"
        "3\n00:00:06,500 --> 00:00:09,000\nover\n\n4\n00:00:10,000 --> 00:00:11,000\nafter\n"
    )
    parsed = parse(data.encode(), duration_ms=8000)
    assert [cue.text for cue in parsed.cues] == ["earlier", "later", "over", "after"]
    assert [(f.cue, f.code) for f in parsed.findings] == [
        (0, "out_of_order"), (2, "overlap"), (2, "past_end"), (3, "past_end")
    ]  # fmt: skip
    assert "500 ms" in parsed.findings[1].message
    assert "begins after" in parsed.findings[3].message


def test_indexes_missing_apart_or_wrong() -> None:
    without = "00:00:01,000 --> 00:00:02,000\nThe answer is\n42\n\n00:00:03,000 --> 00:00:04,000\nNo\n"
    parsed = parse(without.encode())
    assert [cue.text for cue in parsed.cues] == ["The answer is 42", "No"]
    assert [(f.line, f.code) for f in parsed.findings] == [(None, "no_index")]

    one = ENGLISH + "\n00:00:06,000 --> 00:00:07,000\nYes.\n"
    assert [(f.line, f.code) for f in parse(one.encode()).findings] == [(9, "no_index")]

    tight = "1\n0:01,000 --> 0:02,000\nOne\n2\n0:03,000 --> 0:04,000\n3\n0:05,000 --> 0:06,000\nThree"
    parsed = parse(tight.encode())
    assert [(cue.index, cue.text) for cue in parsed.cues] == [(1, "One"), (3, "Three")]
    assert codes(parsed) == ["empty"]

    doubled = parse(ENGLISH.replace("\n", "\n\n").encode())
    assert [(c.index, c.text) for c in doubled.cues] == [(1, "Hello there."), (2, "How are you?")]


def test_line_ends() -> None:
    for end in ("\r\n", "\r", "\r\r\n"):
        parsed = parse(ENGLISH.replace("\n", end).encode())
        assert spans(parsed) == TIMES
        assert parsed.findings == []


def test_markup_goes_and_text_stays() -> None:
    text = '{\\an8}<i>He said</i> <font color="#fff">x<b>y</b></font>: I <3 you<br>2 < 3 > 1'
    (cue,) = parse(f"1\n00:00:01,000 --> 00:00:02,000 X1:40 X2:600 Y1:20 Y2:50\n{text}\n".encode()).cues
    assert cue.text == "He said xy: I <3 you 2 < 3 > 1"


def test_lines_join_as_their_script_does() -> None:
    data = "1\n00:00:01,000 --> 00:00:02,000\n今天天气\n很好 ok\nthen\n"
    assert parse(data.encode()).cues[0].text == "今天天气很好 ok then"


def test_stray_text_is_quoted() -> None:
    parsed = parse(f"A file by me\n\n{ENGLISH}\nThe end\n".encode())
    assert [(f.line, f.code) for f in parsed.findings] == [(1, "stray_text"), (11, "blank_in_text")]
    assert parsed.cues[-1].text == "How are you? The end"
    assert codes(parse(b"just some prose\nwithout times")) == ["stray_text"]


def test_vtt_in_full() -> None:
    data = (
        "WEBVTT - title\nKind: captions\n\nNOTE\na note\nof two lines\n\nSTYLE\n::cue { color: red }\n\nintro\n"
        "00:01.000 --> 00:02.000 align:start position:10%\n<v.loud Ann Lee>Tom &amp; <c.x>Jerry</c> <00:01.500>run\n\n"
        "7\n01:00:03.000 --> 01:00:04.000\n<v A>x</v> <v B>y</v>\n\nlost words\n"
    )
    parsed = parse(data.encode())
    assert [(c.text, c.speaker, c.index) for c in parsed.cues] == [("Tom & Jerry run", "Ann Lee", None), ("x y", "", 7)]
    assert codes(parsed) == ["comments", "several_speakers", "stray_text"]


def test_ass_in_full() -> None:
    data = (
        "[Script Info]\nTitle: t\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.05,0:00:02.50,Default,Bob,0,0,0,,{\\i1}Hi{\\i0}\\Nthere, friend\n"
        "Comment: 0,0:00:01.05,0:00:02.50,Default,,0,0,0,,no\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n"
        "Dialogue: 0,later,0:00:04.00,Default,,0,0,0,,when\nDialogue: 0,0\nwhat\n"
    )
    parsed = parse(data.encode())
    assert [(c.start_ms, c.end_ms, c.text, c.speaker) for c in parsed.cues] == [(1050, 2500, "Hi there, friend", "Bob")]
    assert codes(parsed) == ["comments", "drawings", "bad_time", "bad_line", "stray_text"]
    assert "when" in parsed.findings[2].message


def test_a_long_line_of_dashes_is_quick() -> None:
    for filler in ("-", "0:", "00:00:01,000 ", " -", "<i "):
        parse((filler * 20000 + " --> 1:1:1,1").encode())


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "字幕.srt"
    good.write_text(ENGLISH)
    assert spans(read(good)) == TIMES
    (tmp_path / "empty.srt").write_bytes(b" \n")
    with open(tmp_path / "huge.srt", "wb") as huge:
        huge.truncate(MOST_BYTES + 1)
    for name, said in (("none.srt", "no file"), ("empty.srt", "is empty"), ("huge.srt", "too large"), (".", "no file")):
        with pytest.raises(BadInput, match=said):
            read(tmp_path / name)
