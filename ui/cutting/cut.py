"""The tab of a cutting: its settings, and what it did, cue by cue."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from ui.controls import Context, Part, Scene, act_of, clock, esc, file_url, html_part, number
from ui.cutting.place import place
from ui.pager import pager_html
from ui.plots import bars_svg
from ui.texts import Texts

PER_PAGE = 50


class Form:
    """Controls by the names of the options that they set."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    @property
    def inputs(self) -> list[Any]:
        """The components in order."""
        return list(self.fields.values())

    def read(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Options of the values; an empty field is left to its default."""
        return {name: value for name, value in zip(self.fields, values, strict=True) if value not in (None, "")}


def build_form(ctx: Context) -> Form:
    """The folded settings of a cutting; names are those of CutOptions."""
    t, form = ctx.t, Form()
    fields = form.fields
    with gr.Accordion(t("cut.options"), open=False, elem_id="cut-options"):
        with gr.Row():
            fields["buffer_ms"] = gr.Number(100, precision=0, minimum=0, maximum=2000, label=t("cut.buffer"),
                                            info=t("cut.buffer_info"), elem_id="cut-buffer", min_width=90)
            fields["silence_ms"] = gr.Number(200, precision=0, minimum=0, maximum=5000, label=t("cut.silence"),
                                             info=t("cut.silence_info"), elem_id="cut-silence", min_width=90)
            fields["vad_threshold"] = gr.Number(0.5, minimum=0.05, maximum=0.95, step=0.05, label=t("cut.threshold"),
                                                info=t("cut.threshold_info"), min_width=90)
            fields["sample_rate"] = gr.Dropdown(
                [(t(f"cut.rate_{rate}"), rate) for rate in (44100, 48000, 32000, 16000)], value=44100,
                label=t("cut.rate"), info=t("cut.rate_info"), min_width=160)
        with gr.Row():
            fields["merge"] = gr.Checkbox(False, label=t("cut.merge"), info=t("cut.merge_info"))
            fields["append"] = gr.Checkbox(False, label=t("cut.append"), info=t("cut.append_info"))
            fields["fix_timing"] = gr.Checkbox(False, label=t("cut.fix_timing"), info=t("cut.fix_timing_info"))
            fields["use_original"] = gr.Checkbox(False, label=t("cut.use_original"), info=t("cut.use_original_info"))
        with gr.Row():
            fields["speaker"] = gr.Textbox("", label=t("cut.speaker"), info=t("cut.speaker_info"), max_length=80,
                                           max_lines=1, elem_id="cut-speaker", min_width=160)
            fields["language"] = gr.Dropdown([(t("cut.by_script"), ""), *((t(f"language.{one}"), one)
                                             for one in ("zh", "en", "ja", "ko", "yue"))], value="",
                                             label=t("cut.language"), info=t("cut.language_info"), min_width=160)
            fields["gpt_sovits"] = gr.Checkbox(True, label=t("cut.gpt_sovits"), info=t("cut.gpt_sovits_info"),
                                               elem_id="cut-list")
            fields["sovits"] = gr.Checkbox(False, label=t("cut.sovits"), info=t("cut.sovits_info"),
                                           elem_id="cut-sovits")
    return form


def build_report(ctx: Context) -> None:
    """What the last cutting of the recording did: a banner, the summary, a table in pages, and a player."""
    t, studio = ctx.t, ctx.studio
    banner = html_part(elem_id="cut-banner")
    summary = gr.HTML("", apply_default_css=False, elem_id="cut-summary", js_on_load=None)
    table = html_part(elem_id="cut-table")
    page = ctx.watch("cut_page", gr.State(0))
    only = ctx.watch("cut_only", gr.State("all"))

    def turn(event: gr.EventData) -> tuple[Any, Any]:
        data = act_of(event)
        if data.get("act") == "only":
            return 0, data["only"]
        return int(data["pageTo"]), gr.skip()

    def correct(voice: str, recording: str, event: gr.EventData) -> None:
        """Move all cues by what was found, and cut them again."""
        report = studio.cutting.report(voice, recording)
        found = (report or {}).get("correction")
        if found and report and not found["applied"] and act_of(event).get("act") == "correct":
            studio.cutting.correct(voice, recording, found["offset_s"], found["drift"])
            ctx.bump(voice)
            studio.cutting.cut(voice, recording, {**report["options"], "append": False, "fix_timing": False})

    ctx.on(table.act, turn, [], [page, only])
    ctx.on(banner.act, correct, [ctx.voice, ctx.watched["recording"]], [])

    def key(scene: Scene) -> Hashable:
        return (place(studio, scene), scene.finished("slice"), scene.revision)

    def report_of(scene: Scene) -> dict[str, Any] | None:
        at = place(studio, scene)
        return studio.cutting.report(*at) if at else None

    def head_render(scene: Scene) -> list[Any]:
        report = report_of(scene)
        return [banner_html(t, report), summary_html(t, report)]

    def table_render(scene: Scene) -> list[Any]:
        return [table_html(t, report_of(scene), scene.values["cut_page"], scene.values["cut_only"])]

    ctx.parts += [
        Part([banner, summary], key, head_render, page="cutting"),
        Part([table], lambda s: (key(s), s.values["cut_page"], s.values["cut_only"]), table_render, page="cutting"),
    ]


def banner_html(t: Texts, report: dict[str, Any] | None) -> str:
    """The offer to correct the timing, where the cutting found an offset or a drift that was not corrected."""
    found = (report or {}).get("correction")
    if not found or found["applied"]:
        return ""
    drift = (found["drift"] - 1) * 3600
    told = t("cut.late" if found["offset_s"] < 0 else "cut.early", offset=f"{abs(found['offset_s']):.2f}")
    if abs(drift) >= 0.05:
        told += " " + t("cut.drift", drift=f"{drift:+.1f}")
    return (f'<div class="ts-note-box ts-banner" role="status"><p class="ts-grow">{esc(told)}</p>'
            f'<button type="button" class="ts-btn" data-act="correct">{esc(t("cut.correct"))}</button></div>')


def summary_html(t: Texts, report: dict[str, Any] | None) -> str:
    """Counts, minutes, shares and the histogram of lengths."""
    if report is None:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("cut.no_report"))}</p>'
                f'<p class="ts-muted">{esc(t("cut.no_report_hint"))}</p></div>')
    result, shares = report["result"], report["summary"]
    figures = "".join(
        f"<div><b>{value}</b><span>{esc(label)}</span></div>"
        for value, label in (
            (result["clips"], t("cut.clips")), (number(result["minutes"]), t("cut.minutes")),
            (result["not_cut"], t("cut.not_cut")), (result["by_subtitle"], t("cut.by_subtitle")),
            (f"{shares['share_below_3_s']:.0%}", "< 3 s"), (f"{shares['share_3_to_10_s']:.0%}", "3–10 s"),
            (f"{shares['share_above_10_s']:.0%}", "> 10 s"),
        )
    )  # fmt: skip
    bins = [(f"{one['from_s']} s", one["count"]) for one in shares["histogram"]]
    while len(bins) > 8 and not bins[-1][1]:
        bins.pop()
    told = report["warnings"][:-1] if report["correction"] else report["warnings"]  # the banner says the last one
    made = [str(result[key]) for key in ("list", "sovits") if result.get(key)]
    told = [*told, *(t("cut.also_made", path=path) for path in made)]
    if report.get("cut_from") != report.get("audio"):
        told.insert(0, t("cut.from_cleaned"))
    warnings = "".join(f"<li>{esc(one)}</li>" for one in told)
    notes = f'<ul class="ts-notes">{warnings}</ul>' if warnings else ""
    return (f'<div class="ts-summary"><div class="ts-figures">{figures}</div>'
            f'<figure><figcaption>{esc(t("cut.lengths"))}</figcaption>{bars_svg(bins, t("cut.lengths"))}</figure>'
            f'<p class="ts-muted">{esc(t("cut.in_dataset"))} '
            f'<a class="ts-link" href="#dataset">{esc(t("nav.dataset"))}</a></p></div>{notes}')


def table_html(t: Texts, report: dict[str, Any] | None, page: int, only: str) -> str:
    """One row a cue: its times, where it was cut, how far that is, by what, level, warnings; each cut can be heard."""
    if report is None:
        return ""
    cues: list[dict[str, Any]] = report["cues"]
    marked = [one for one in cues if one["warnings"] or not one["audio"]]
    rows = marked if only == "marked" else cues
    page = max(0, min(page, (len(rows) - 1) // PER_PAGE))
    shown = rows[page * PER_PAGE : (page + 1) * PER_PAGE]
    switch = "".join(
        f'<button type="button" class="ts-seg" data-act="only" data-only="{name}" '
        f'aria-pressed="{"true" if name == only else "false"}">{esc(t(f"cut.only_{name}"))} {len(kept)}</button>'
        for name, kept in (("all", cues), ("marked", marked)))
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("cue.number", ' class="ts-num"'), ("cue.text", ""), ("cut.cue_times", ' class="ts-num"'),
        ("cut.cut_times", ' class="ts-num"'), ("cut.shift", ' class="ts-num"'), ("cut.by", ""),
        ("cut.level", ' class="ts-num"'), ("cue.notes", "")))
    body = "".join(_row(t, one) for one in shown)
    return (f'<div class="ts-table-head"><div class="ts-segs">{switch}</div>{pager_html(t, page, len(rows), PER_PAGE)}'
            f'<audio class="ts-hear" controls preload="none" aria-label="{esc(t("cut.player"))}"></audio></div>'
            f'<div class="ts-table-box"><table class="ts-table ts-cuts"><thead><tr>{head}<th scope="col">'
            f'<span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead><tbody>{body}</tbody></table></div>')


def _row(t: Texts, one: dict[str, Any]) -> str:
    warnings = " ".join(one["warnings"])
    times = [f"{_time(one[a])} – {_time(one[b])}" for a, b in (("cue_start_s", "cue_end_s"), ("start_s", "end_s"))]
    hear = ""
    cut = by = shift = "–"
    if one["audio"]:
        cut, by = times[1], t("cut.by_vad" if one["source"] == "vad" else "cut.by_subtitle_word")
        shift = f"{one['shift_start_ms']:+d} / {one['shift_end_ms']:+d}"
        hear = (f'<button type="button" class="ts-btn" data-hear="{esc(file_url(t.lang, Path(one["audio"])))}" '
                f'aria-label="{esc(t("cue.play"))} {one["index"]}">{esc(t("cue.play"))}</button>')
    return (f'<tr data-position="{one["position"]}"><td class="ts-num">{one["index"]}</td>'
            f'<td class="ts-ell" title="{esc(one["text"])}">{esc(one["text"])}</td><td class="ts-num">{times[0]}</td>'
            f'<td class="ts-num">{cut}</td><td class="ts-num">{shift}</td><td>{esc(by)}</td>'
            f'<td class="ts-num">{number(one["level_db"])}</td>'
            f'<td class="ts-ell ts-cue-note" title="{esc(warnings)}">{esc(warnings)}</td>'
            f'<td class="ts-num">{hear}</td></tr>')


def _time(seconds: float) -> str:
    return f"{clock(int(seconds))}.{int(seconds * 1000) % 1000:03d}"
