"""Small plots as SVG text, black on white for paper, no script, nothing from outside."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 460, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 8, 24, 26
_MOST_LABELS = 14


def bars(title: str, values: Sequence[float], labels: Sequence[str], marks: Sequence[float] = ()) -> str:
    """A bar a value (>= 0) with its label below; every nth label is left out where there are many.

    `marks`: places along the axis in bars (2.5 is the middle of the third) where a dashed line stands.
    """
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    top = max(max(values, default=0.0), 1e-9)
    step = inner_w / max(1, len(values))
    base = _TOP + inner_h
    every = -(-len(values) // _MOST_LABELS) or 1
    parts = [
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="10">',
        f'<text x="{_LEFT}" y="14" font-size="12" font-weight="bold">{escape(title)}</text>',
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{_short(top)}</text>',
        f'<text x="{_LEFT - 4}" y="{base}" text-anchor="end">0</text>',
    ]
    for index, (value, label) in enumerate(zip(values, labels, strict=True)):
        height = inner_h * max(0.0, value) / top
        x = _LEFT + index * step
        parts.append(
            f'<rect x="{x + step * 0.08:.1f}" y="{base - height:.1f}" width="{max(0.5, step * 0.84):.1f}" '
            f'height="{height:.1f}" fill="#3b6ea5"><title>{escape(label)}: {_short(value)}</title></rect>'
        )
        if index % every == 0:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{base + 13}" text-anchor="middle">{escape(label)}</text>')
    for mark in marks:
        x = _LEFT + min(max(mark, 0.0), len(values)) * step
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{base}" stroke="#b3261e" stroke-dasharray="3 3"/>'
        )
    parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}" stroke="#444"/></svg>')
    return "".join(parts)


def histogram(
    title: str, values: Sequence[float], low: float, high: float, n_bins: int, limits: Sequence[float] = ()
) -> str:
    """How many values fall in each of `n_bins` equal bins of low..high (what is beyond goes to the outer ones)."""
    width = (high - low) / n_bins
    counts = [0] * n_bins
    for value in values:
        counts[min(n_bins - 1, max(0, int((value - low) / width)))] += 1
    labels = [_short(low + index * width) for index in range(n_bins)]
    return bars(title, [float(count) for count in counts], labels, [(limit - low) / width for limit in limits])


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"
