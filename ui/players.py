"""Server-drawn players: waveform, position and one switch between versions of the same audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ui.controls import esc, file_url
from ui.plots import waveform_svg
from ui.texts import Texts

N_PEAKS = 600


@dataclass(frozen=True)
class Source:
    """One version of an audio: what it is called and its file (under the allowed folders)."""

    label: str
    path: Path


@lru_cache(maxsize=256)
def _peaks(path: str, changed_ns: int, n: int) -> tuple[tuple[float, float], ...]:
    from core.audio.waveform import peaks

    return tuple((float(low), float(high)) for low, high in peaks(Path(path), n))


def file_peaks(path: Path, n: int = N_PEAKS) -> tuple[tuple[float, float], ...]:
    """Minimum and maximum per column, kept per version of the file; empty where it cannot be read."""
    try:
        return _peaks(str(path), path.stat().st_mtime_ns, n)
    except OSError:
        return ()


def player_html(t: Texts, sources: Sequence[Source], height: int = 56) -> str:
    """A player of one or several versions; with several, a switch that keeps the position."""
    if not sources:
        return ""
    waves, switch = "", ""
    for i, source in enumerate(sources):
        hidden = " hidden" if i else ""
        label = f"{t('player.waveform')}: {source.label}"
        waves += (f'<div data-wave="{i}"{hidden}>{waveform_svg(file_peaks(source.path), label, height)}</div>')
        switch += (f'<button type="button" class="ts-seg" data-name="{i}" data-source="{esc(_url(t, source.path))}" '
                   f'aria-pressed="{"false" if i else "true"}">{esc(source.label)}</button>')
    group = (f'<div class="ts-segs" role="group" aria-label="{esc(t("player.switch"))}">{switch}</div>'
             if len(sources) > 1 else "")
    return (f'<div class="ts-player"><div class="ts-waves">{waves}<i class="ts-cursor"></i></div>'
            f'<div class="ts-player-line">{group}<audio controls preload="metadata" '
            f'src="{esc(_url(t, sources[0].path))}" '
            f'aria-label="{esc(sources[0].label)}"></audio></div></div>')


def _url(t: Texts, path: Path) -> str:
    # The file's time in the address: a file made again under its old name must not come from the browser's cache.
    stamp = int(path.stat().st_mtime) if path.exists() else 0
    return f"{file_url(t.lang, path)}?v={stamp}"
