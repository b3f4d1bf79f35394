"""The list of takes: heard, spoken again by their seed, mended sentence by sentence, deleted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ui.controls import esc, file_url, number, when
from ui.sentences import said as in_words
from ui.texts import Texts

if TYPE_CHECKING:
    from core.speech.takes import Take, TakeStore

SHOWN = 40
_WORDS = 300


def takes_html(t: Texts, store: "TakeStore", takes: "Sequence[Take]", opened: str | None) -> str:
    """The list; the sentences of the `opened` take stand below it. Empty: what to do."""
    if not takes:
        return f'<p class="ts-empty">{esc(t("speech.no_takes"))}</p>'
    rows = "".join(_row(t, store, take, take.id == opened) for take in takes)
    return f'<ul class="ts-table-box ts-takes">{rows}</ul><audio class="ts-hear" preload="none"></audio>'


def _row(t: Texts, store: "TakeStore", take: "Take", opened: bool) -> str:
    url = file_url(t.lang, store.sound(take))
    figures = [
        " ".join(word for word in (take.engine, take.model, take.voice or "") if word),
        f"{number(take.seconds)} s",
        t("speech.first", seconds=number(take.first_s, 2)),
        t("speech.work", rtf=number(take.rtf, 2)),
        t("speech.by_seed", seed=take.seed),
        when(t, take.created_at),
        *([t("speech.stopped")] if take.state == "stopped" else []),
        *([t("speech.mended")] if take.made_from else []),
    ]
    acts = "".join(_button(t, act, take.id) for act in ("open", "again", "other", "delete"))
    return (
        f'<li data-take="{esc(take.id)}"><div class="ts-take">'
        f'<button type="button" class="ts-btn" data-hear="{esc(url)}" aria-label="{esc(t("speech.hear"))}">▶</button>'
        f'<div class="ts-grow"><div class="ts-ell" title="{esc(take.text[:2000])}">{esc(take.text[:_WORDS])}</div>'
        f'<div class="ts-muted ts-ell" title="{esc(" · ".join(figures))}">{esc(" · ".join(figures))}</div></div>{acts}'
        f'<a class="ts-link" href="{esc(url)}" download="{esc(take.id)}.wav">{esc(t("speech.download"))}</a></div>'
        f"{_sentences(t, take) if opened else ''}</li>"
    )


def _button(t: Texts, act: str, take: str, sentence: int | None = None) -> str:
    which = "" if sentence is None else f' data-sentence="{sentence}"'
    words = t(f"speech.act_{act}")
    return (f'<button type="button" class="ts-btn" data-act="{act}" data-take="{esc(take)}"{which} '
            f'title="{esc(t(f"speech.act_{act}_info"))}">{esc(words)}</button>')


def _sentences(t: Texts, take: "Take") -> str:
    chips = ""
    for n, part in enumerate(take.parts):
        length = number((part.end - part.start) / take.sample_rate_hz)
        chips += (f'<li><span>{esc(part.text)}</span> <span class="ts-muted">{length} s</span>'
                  f"{_button(t, 'mend', take.id, n)}</li>")
    warnings = "".join(f'<p class="ts-muted">{esc(in_words(t, words))}</p>' for words in take.warnings)
    return f'<ol class="ts-parts">{chips}</ol>{warnings}'
