"""Captions that roll are read once; people who repeat themselves are left alone."""

from core.subtitles.parse import parse
from core.subtitles.timecode import clock

LINES = ["so we went to the harbour", "and there was the old boat", "that nobody had painted", "since the war I think",
         "and we looked at it", "for a long while"]  # fmt: skip


def rolling(lines: list[str]) -> bytes:
    """As automatic captions come: each line grows in, is held for 10 ms, and moves up."""
    blocks, above = ["WEBVTT\nKind: captions\n"], " "
    for at, line in enumerate(lines):
        start, end = at * 2500, at * 2500 + 2490
        times = f"{clock(start, '.')} --> {clock(end, '.')} align:start position:0%"
        first, *words = line.split(" ")
        grown = first + "".join(f"<{clock(start + 99, '.')}><c> {word}</c>" for word in words)
        blocks.append(f"{times}\n{above}\n{grown}\n")
        blocks.append(f"{clock(end, '.')} --> {clock(end + 10, '.')} align:start position:0%\n{line}\n \n")
        above = line
    return "\n".join(blocks).encode()


def test_each_line_once_with_its_own_times() -> None:
    parsed = parse(rolling(LINES))
    assert [cue.text for cue in parsed.cues] == LINES
    assert [cue.start_ms for cue in parsed.cues] == [at * 2500 for at in range(len(LINES))]
    assert [finding.code for finding in parsed.findings] == ["rolling"]


def test_chinese_rolls_too() -> None:
    lines = ["今天我们去看海", "海边有一条旧船", "没有人给它上漆", "我们看了很久"]
    assert [cue.text for cue in parse(rolling(lines)).cues] == lines


def test_people_may_repeat_themselves() -> None:
    texts = [
        "row the boat",
        "row the boat",
        "gently down",
        "the stream we go",
        "go on",
        "row the boat",
        "row the boat",
        "and",
    ]
    blocks = [f"{clock(at * 1000)} --> {clock(at * 1000 + 1000)}\n{text}\n" for at, text in enumerate(texts)]
    parsed = parse("\n".join(blocks).encode())
    assert [cue.text for cue in parsed.cues] == texts
