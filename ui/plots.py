"""Server-drawn SVG: waveform, histogram, line plot. They take their colours from the page's CSS classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ui.controls import esc

Point = tuple[float, float]


def waveform_svg(peaks: Sequence[tuple[float, float]], label: str, height: int = 64) -> str:
    """Peaks (minimum, maximum per column, -1..1) as one filled outline; a silent file is a line."""
    n = len(peaks)
    if n == 0:
        return f'<div class="ts-wave ts-none" style="height:{height}px"></div>'
    mid = height / 2
    top = [f"{i},{mid - max(0.0, min(1.0, high)) * (mid - 1):.1f}" for i, (_, high) in enumerate(peaks)]
    low = [f"{i},{mid + max(0.0, min(1.0, -low)) * (mid - 1) + 0.6:.1f}" for i, (low, _) in enumerate(peaks)]
    outline = " ".join(top + low[::-1])
    return (f'<svg class="ts-wave" viewBox="0 0 {n} {height}" preserveAspectRatio="none" role="img" '
            f'aria-label="{esc(label)}" style="height:{height}px"><polygon points="{outline}"/></svg>')


def histogram_svg(values: Sequence[float], low: float, high: float, n_bins: int, label: str, unit: str) -> str:
    """Counts of ``values`` in equal bins of low..high, the ends written below."""
    counts = [0] * n_bins
    for value in values:
        counts[max(0, min(n_bins - 1, int((value - low) / (high - low) * n_bins)))] += 1
    most = max(counts) or 1
    bars = "".join(
        f'<rect x="{i * 12 + 1}" y="{40 - 38 * c / most:.1f}" width="10" height="{38 * c / most:.1f}">'
        f"<title>{low + i * (high - low) / n_bins:.1f}–{low + (i + 1) * (high - low) / n_bins:.1f} {esc(unit)}: {c}"
        "</title></rect>"
        for i, c in enumerate(counts) if c
    )
    width = n_bins * 12
    return (f'<svg class="ts-hist" viewBox="0 0 {width} 54" role="img" aria-label="{esc(label)}">{bars}'
            f'<line x1="0" y1="40.5" x2="{width}" y2="40.5"/><text x="1" y="51">{low:g} {esc(unit)}</text>'
            f'<text x="{width - 1}" y="51" text-anchor="end">{high:g} {esc(unit)}</text></svg>')


def _ticks(low: float, high: float, n: int = 4) -> list[float]:
    """About ``n`` round numbers within low..high."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw), 10 * power)
    first = math.ceil(low / step) * step
    return [first + i * step for i in range(int((high - first) / step + 1e-9) + 1)]


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 10000:
        return f"{value / 1000:g}k"
    if abs(value) < 0.001:
        return f"{value:.0e}"
    return f"{value:g}" if abs(value) < 1 else f"{value:.6g}"


@dataclass(frozen=True)
class Series:
    """One line of a plot: ``style`` is its place among the page's line styles (colour and dash), 0 the main one."""

    name: str
    points: Sequence[Point]
    style: int = 0


def line_svg(points: Sequence[Point], title: str, x_label: str = "", width: int = 400, height: int = 132) -> str:
    """One series (x, y) with its newest value beside the title. Non-finite values are left out."""
    return lines_svg([Series("", points)], title, x_label, width, height)


def lines_svg(series: Sequence[Series], title: str, x_label: str = "", width: int = 400, height: int = 132) -> str:
    """Several series over one another on the same axes; beside the title the newest value of the first of them.

    Non-finite values are left out, and a series without any other is not drawn.
    """
    drawn = [(one, thinned(one.points)) for one in series]
    drawn = [(one, points) for one, points in drawn if points]
    newest = f"{drawn[0][1][-1][1]:.4g}" if drawn and drawn[0][0] is series[0] else "–"
    left, right, top, bottom = 42.0, width - 6.0, 6.0, height - 18.0
    body = f'<rect class="ts-frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
    if drawn:
        x0 = min(points[0][0] for _, points in drawn)
        x1 = max(x0 + 1, *(points[-1][0] for _, points in drawn))
        y0, y1 = _span_of_all([points for _, points in drawn])

        def px(x: float) -> float:
            return left + (x - x0) / (x1 - x0) * (right - left)

        def py(y: float) -> float:
            return min(bottom, max(top, bottom - (y - y0) / (y1 - y0) * (bottom - top)))

        for y in _ticks(y0, y1):
            body += (f'<line class="ts-grid" x1="{left}" x2="{right}" y1="{py(y):.1f}" y2="{py(y):.1f}"/>'
                     f'<text x="{left - 5}" y="{py(y) + 3.5:.1f}" text-anchor="end">{_number(round(y, 10))}</text>')
        for x, anchor in ((x0, "start"), (x1, "end")):
            body += f'<text x="{px(x):.1f}" y="{height - 5}" text-anchor="{anchor}">{_number(x)}</text>'
        # The first series lies on top.
        for one, points in reversed(drawn):
            path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in points)
            name = f"<title>{esc(one.name)}</title>" if one.name else ""
            body += (f'<polyline class="ts-line-{one.style}" points="{path}">{name}</polyline>' if len(points) > 1
                     else f'<circle class="ts-line-{one.style}" cx="{px(points[0][0]):.1f}" '
                          f'cy="{py(points[0][1]):.1f}" r="2">{name}</circle>')
    body += f'<text x="{(left + right) / 2}" y="{height - 5}" text-anchor="middle">{esc(x_label)}</text>'
    return (f'<figure class="ts-plot"><div class="ts-plot-head"><span>{esc(title)}</span><b>{newest}</b></div>'
            f'<svg viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{esc(title)} {newest}">{body}</svg></figure>')


def thinned(points: Sequence[Point], n: int = 400) -> list[Point]:
    """About ``n`` of the finite points, the last one always."""
    good = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    shown = good[:: max(1, len(good) // n)]
    if good and shown[-1] != good[-1]:
        shown.append(good[-1])
    return shown


def _span_of_all(lines: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """Lowest and highest y to show. The first steps of a training are far off all that follows: in a line of many
    points they may leave the frame."""
    ys = [y for line in lines for _, y in (line[len(line) // 20 :] if len(line) >= 40 else line)]
    low, high = min(ys), max(ys)
    pad = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def bars_svg(bins: Sequence[tuple[str, int]], label: str) -> str:
    """Counts as bars, each with the lower end of its bin below it."""
    most = max((count for _, count in bins), default=0) or 1
    bars = "".join(
        f'<rect x="{i * 24 + 2}" y="{40 - 38 * count / most:.1f}" width="20" height="{38 * count / most:.1f}">'
        f"<title>{esc(name)}: {count}</title></rect>"
        f'<text x="{i * 24 + 2}" y="51">{esc(name.removesuffix(" s"))}</text>'
        for i, (name, count) in enumerate(bins)
    )
    width = len(bins) * 24
    return (f'<svg class="ts-hist" viewBox="0 0 {width} 54" role="img" aria-label="{esc(label)}">{bars}'
            f'<line x1="0" y1="40.5" x2="{width}" y2="40.5"/></svg>')
