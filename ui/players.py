"""Server-drawn players: waveform, position and one switch between versions of the same audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import NotFound
from ui.controls import esc, file_url
from ui.plots import waveform_svg
from ui.texts import Texts

N_PEAKS = 600
MAX_DRAWN_S = 1200.0  # drawing decodes the whole file; a person waits for it


@dataclass(frozen=True)
class Source:
    """One version of an audio: what it is called and its file (under the allowed folders)."""

    label: str
    path: Path


@lru_cache(maxsize=256)
def _peaks(path: str, changed_ns: int, n: int) -> tuple[tuple[float, float], ...]:
    from core.audio.decode import probe
    from core.audio.waveform import peaks

    if (probe(path).duration_s or 0.0) > MAX_DRAWN_S:
        return ()
    return tuple((float(low), float(high)) for low, high in peaks(Path(path), n))


def file_peaks(path: Path, n: int = N_PEAKS) -> tuple[tuple[float, float], ...]:
    """Minimum and maximum per column, kept per version of the file; empty for a very long one.

    Raises BadInput where the file cannot be decoded, NotFound where it is gone.
    """
    try:
        return _peaks(str(path), path.stat().st_mtime_ns, n)
    except OSError as error:
        raise NotFound(f"{path.name} is no longer there.", "Choose another.", where=str(path)) from error


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
