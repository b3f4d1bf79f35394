"""The palette is readable in both themes, and nothing in the theme or the assets asks the network for anything."""

import re
from pathlib import Path

import pytest

from ui.theme import PALETTE, make_theme, palette_css

ASSETS = Path(__file__).resolve().parents[2] / "ui" / "assets"


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), [
    ("text", "panel", 7.0), ("text", "bg", 7.0),
    ("muted", "panel", 4.5), ("muted", "bg", 4.5), ("muted", "raised", 4.5),
    ("accent", "panel", 4.5), ("on-accent", "accent", 4.5), ("ok", "panel", 4.5), ("warn", "panel", 4.5),
    ("bad", "panel", 4.5),
])
def test_contrast(mode: int, front: str, back: str, least: float) -> None:
    assert contrast(PALETTE[front][mode], PALETTE[back][mode]) >= least


def test_css_uses_only_colours_of_the_palette() -> None:
    css = (ASSETS / "style.css").read_text("utf-8")
    used = set(re.findall(r"var\(--ts-([a-z-]+)\)", css))
    assert used <= set(PALETTE)
    loose = set(re.findall(r"#[0-9a-f]{6}\b", css)) - {PALETTE["bg"][1]}
    assert loose == set()
    for name in PALETTE:
        assert f"--ts-{name}:" in palette_css()


def test_no_network_in_theme_or_assets() -> None:
    css = make_theme()._get_theme_css()
    assert make_theme()._stylesheets == []
    texts = [css, *(p.read_text("utf-8") for p in ASSETS.iterdir())]
    for text in texts:
        links = [u for u in re.findall(r"https?://[^\s\"')]+", text) if "w3.org" not in u]
        assert links == []
