"""Times as subtitle files write them, and as people and programs mangle them."""

import re
from dataclasses import dataclass

# Every repetition is bounded: random bytes must not make the search slow.
_TIME = r"(?:(\d{1,4}) ?[:：] ?)?(\d{1,3}) ?[:：] ?(\d{1,2})(?: ?([,.，．]) ?(\d{1,9}))?"
_ARROW = r" ?(?:[-=–—−~－]{0,3} ?[-=–—−~－]{0,3} ?[>→⇒＞]{1,2}|[-–—−]{0,3}) ?"
_LINE = re.compile(rf"{_TIME}{_ARROW}(?<!\d)(-?){_TIME}(?![\d:：])(.*)")
_SUSPECT = re.compile(
    r"\W{0,4}\d{1,4} ?[:：] ?\w{1,3}.{0,24}(?:-->|->|→)|.{0,24}(?:-->|->|→) ?-?\d{1,4} ?[:：] ?\d{1,3} ?[:：,.]"
)


@dataclass(frozen=True)
class TimeLine:
    """A line of two times. `odd` says what is unusual about how they are written; `rest` is what follows them."""

    start_ms: int
    end_ms: int
    rest: str
    odd: str = ""


def time_line(line: str) -> TimeLine | str | None:
    """Read a line as times: TimeLine; the reason why it cannot be read though it means to be one; None for others.

    Understood beyond the standards: a dot or a comma, full-width marks and digits, one or two digits of hours or
    none, one to nine digits of fraction (decimal) or none, other arrows or none.
    """
    if ":" not in line and "：" not in line:
        return None
    text = " ".join(line.split())
    found = _LINE.match(text)
    if found is None:
        return "its times cannot be read" if _SUSPECT.match(text) else None
    groups = found.groups()
    if not re.search(r"[>→⇒＞]", text[: found.start(12)]) and not (groups[4] and groups[10]):
        return None  # "10:30 11:30" in a line of text
    if groups[5]:
        return "it has a time before zero"
    start_ms, start_odd = _milliseconds(groups[0:5])
    end_ms, end_odd = _milliseconds(groups[6:11])
    if start_ms is None or end_ms is None:
        return f"it has a time that does not exist ({start_odd or end_odd})"
    odd = start_odd or end_odd
    if "-->" not in text:
        odd = odd or "the arrow is not -->"
    return TimeLine(start_ms, end_ms, groups[11].strip(), odd)


def _milliseconds(parts: tuple[str | None, ...]) -> tuple[int | None, str]:
    """(milliseconds, what is odd) of hours, minutes, seconds, mark, fraction."""
    hours, minutes, seconds, _, fraction = parts
    assert minutes is not None
    assert seconds is not None
    if int(seconds) > 59 or (hours is not None and int(minutes) > 59):
        return None, f"{hours or '0'}:{minutes}:{seconds}"
    odd = ""
    if fraction is None:
        odd, fraction = "a time has no milliseconds", "0"
    elif len(fraction) > 3 and fraction[3:].strip("0"):
        odd = "a time is finer than a millisecond and was cut, not rounded"
    elif len(fraction) < 3:
        odd = "a time has fewer than three digits after the comma and was read as a decimal"
    whole_s = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole_s * 1000 + int(fraction[:3].ljust(3, "0")), odd


def clock(ms: int, mark: str = ",") -> str:
    """`3723004` -> `01:02:03,004`."""
    seconds, milliseconds = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{milliseconds:03}"
