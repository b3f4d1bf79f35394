"""A song as the page shows it: heard in all its parts with one switch, its levels, its figures, its files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import StudioError
from ui.controls import clock, esc, number, problem_html, when
from ui.players import Source, player_html
from ui.plots import Series, lines_svg
from ui.result_view import downloads_html
from ui.run_view import legend_html
from ui.texts import Texts

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.settings import Settings

# Key of the job's result -> label; the mix first.
_PARTS = (("output", "song.mixed"), ("converted", "song.converted"), ("vocals", "song.vocals_before"),
          ("accompaniment", "song.rest"))


def song_html(t: Texts, settings: "Settings", job: "Job | None", meters: dict[str, Any]) -> str:
    """One song; before the first, what to do."""
    if job is None or not job.result:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("song.empty"))}</p>'
                f'<p class="ts-muted">{esc(t("song.empty_hint"))}</p></div>')
    result = job.result
    output = Path(str(result["output"]))
    if not output.is_file():
        return f'<div class="ts-problem">{esc(t("convert.gone", file=output.name))}</div>'
    try:
        player = player_html(t, list(_sources(t, settings, job)), height=88)
    except StudioError as error:
        player = problem_html(t, error.to_dict())
    facts = [
        (t("convert.length"), clock(result.get("duration_s"))),
        (t("song.lufs"), f'{number(result.get("lufs"))} LUFS'),
        (t("song.peak"), f'{number(result.get("peak_dbtp"))} dBTP'),
        (t("song.matched"), f'{number(meters.get("matched_db"))} dB'),
        (t("convert.key_used"), f'{float(result.get("transpose") or 0):+g}'),
    ]
    told = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in facts)
    warnings = "".join(f'<p class="ts-muted">{esc(words)}</p>' for words in result.get("warnings", ()))
    return (f'<div class="ts-detail"><div class="ts-detail-head"><b class="ts-ell ts-grow">{esc(output.name)}</b>'
            f"{downloads_html(t, job)}</div>{player}{_levels(t, meters)}"
            f'<dl class="ts-facts">{told}</dl>{warnings}</div>')


def _sources(t: Texts, settings: "Settings", job: "Job") -> "list[Source]":
    found = []
    for key, label in _PARTS:
        path = Path(str((job.result or {}).get(key) or ""))
        # Only what lies under the outputs may be shown: a path from the command line may be anywhere.
        if path.is_file() and path.resolve().is_relative_to(settings.outputs.resolve()):
            found.append(Source(t(label), path))
    return found


def _levels(t: Texts, meters: dict[str, Any]) -> str:
    """Level over time of both buses and of the mix."""
    if not meters:
        return ""
    step = float(meters["meter_s"])
    buses = (("mix", t("song.mixed")), ("vocals", t("song.vocals")), ("accompaniment", t("song.rest")))
    series = [
        Series(name, [(i * step, level) for i, level in enumerate(meters[bus]["levels_db"])], style)
        for style, (bus, name) in enumerate(buses)
    ]
    return (f'<div class="ts-levels">{lines_svg(series, t("song.levels"), "s", 900, 96)}'
            f"{legend_html([one.name for one in series])}</div>")


def songs_table(t: Texts, jobs: "Sequence[Job]", shown: int | None) -> str:
    """Earlier songs of this voice, newest first."""
    if not jobs:
        return ""
    rows = ""
    for job in jobs:
        result = job.result or {}
        name = Path(str(result.get("output", ""))).name
        rows += (
            f'<tr aria-selected="{"true" if job.id == shown else "false"}"><td class="ts-ell" title="{esc(name)}">'
            f'{esc(name)}</td><td class="ts-num">{clock(result.get("duration_s"))}</td>'
            f'<td class="ts-num">{number(result.get("lufs"))}</td><td>{when(t, job.finished_at)}</td>'
            f'<td class="ts-num"><button type="button" class="ts-btn" data-act="open" data-job="{job.id}">'
            f'{esc(t("run.open"))}</button></td></tr>')
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("convert.file", ""), ("convert.length", ' class="ts-num"'), ("song.lufs_short", ' class="ts-num"'),
        ("convert.made", "")))
    return (f'<div class="ts-table-box"><table class="ts-table ts-outputs"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")
