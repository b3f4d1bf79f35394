"""The tab of the quality gate: presets, thresholds, what was found and what to do about it, the report."""

from collections.abc import Hashable
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from ui.controls import Context, Part, Scene, act_of, badge, esc, html_part, need_voice, number
from ui.cutting.transcribe import LANGUAGES
from ui.dataset.set_view import set_html
from ui.texts import Texts

# (threshold, what happens beyond it); the labels say what it is and its unit.
LIMITS: tuple[tuple[str, str], ...] = (
    ("min_duration_s", "review_below"), ("reject_below_s", "reject_below"), ("max_duration_s", "review_above"),
    ("snr_review_db", "review_below"), ("snr_reject_db", "reject_below"), ("bandwidth_hz", "review_below"),
    ("clipped_review", "review_above"), ("clipped_reject", "reject_above"), ("max_true_peak_dbtp", "review_above"),
    ("min_lufs", "review_below"), ("max_lufs", "review_above"), ("rt60_review_s", "review_above"),
    ("rt60_reject_s", "reject_above"), ("speech_review", "review_below"), ("speech_reject", "reject_below"),
    ("voiced_review", "review_below"), ("cer_review", "review_above"), ("cer_reject", "reject_above"),
    ("duplicate_similarity", "review_above"), ("speaker_z", "review_above"), ("set_minutes", "remark_below"),
    ("set_semitones", "remark_below"), ("set_source_share", "remark_above"), ("set_short_share", "remark_above"),
    ("set_loudness_spread_lu", "remark_above"), ("set_bandwidth_hz", "remark_below"),
)  # fmt: skip
# Gradio shows an empty number as 0: here 0 says that the limit is not looked at, as it means nothing else.
OFF_AT_ZERO = frozenset(
    ("rt60_review_s", "rt60_reject_s", "speech_review", "speech_reject", "voiced_review", "duplicate_similarity",
     "speaker_z")
)  # fmt: skip
_KIND = {"reject": "bad", "review": "warn", "remark": "idle"}


def build(ctx: Context, view: tuple[gr.Tabs, gr.State, gr.State, gr.State]) -> None:
    """Draw the tab and wire it. ``view``: the page's tabs, and the states that say which clips its table shows."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-tight"):
        preset = gr.Radio([(t("quality.svc"), "svc"), (t("quality.tts"), "tts")], value="svc", scale=1,
                          label=t("quality.preset"), elem_id="qa-preset", elem_classes="ts-inline")
        apply = gr.Checkbox(True, label=t("quality.apply"), info=t("quality.apply_info"), scale=1, elem_id="qa-apply")
        check = gr.Button(t("quality.check"), variant="primary", elem_id="qa-start", scale=0, min_width=130)
    with gr.Accordion(t("quality.limits"), open=False, elem_id="qa-limits"):
        with gr.Row():
            spoken = gr.Dropdown([(t("quality.by_script"), ""), *((t(f"language.{one}"), one) for one in LANGUAGES)],
                                 value="", label=t("quality.spoken"), info=t("quality.spoken_info"))
            listen = gr.Checkbox(False, label=t("quality.listen"), info=t("quality.listen_info"))
        fields = _build_limits(ctx)
    found = html_part(elem_id="qa-findings")

    def preset_values(name: str) -> list[Any]:
        limits = studio.dataset.limits(name)
        return [limits[field] or 0 for field in fields]

    preset.change(preset_values, [preset], list(fields.values()), queue=False, show_progress="hidden",
                  api_visibility="private")

    def start(voice: str | None, name: str, write: bool, text_language: str, asr: bool, *values: Any) -> None:
        changes = changed(studio.dataset.limits(name), dict(zip(fields, values, strict=True)))
        options = {"apply": write, "language": t.lang, "text_language": text_language, "asr": "auto" if asr else None}
        studio.dataset.check(need_voice(t, voice), name, changes, options)

    def act(voice: str | None, event: gr.EventData) -> tuple[Any, Any, Any, Any]:
        data, name = act_of(event), need_voice(t, voice)
        one = next((f for f in studio.dataset.findings(name, t.lang) if f["code"] == data["code"]
                    and f["severity"] == data["severity"]), None)
        known = {clip.id for clip in studio.clips(name)}
        ids = tuple(clip for clip in (one["clips"] if one else ()) if clip in known)
        if not one or not ids:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        if data["act"] == "judge":
            studio.set_verdict(name, ids, data["verdict"])
            ctx.bump(name)
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        return gr.update(selected="clips"), "finding", 0, (one["title"], ids)

    ctx.on(check.click, start, [ctx.voice, preset, apply, spoken, listen, *fields.values()])
    ctx.on(found.act, act, [ctx.voice], list(view))

    def key(scene: Scene) -> Hashable:
        return (scene.finished("qa"), scene.finished("slice"), scene.finished("prep"))

    def render(scene: Scene) -> list[Any]:
        result = studio.dataset.quality(scene.voice) if scene.voice else None
        findings = studio.dataset.findings(scene.voice, t.lang) if scene.voice and result else []
        return [findings_html(t, scene.voice or "", result, findings)]

    ctx.parts.append(Part([found], key, render, page="dataset"))


def changed(limits: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """What of ``values`` differs from ``limits``; an empty field, or 0 where that says so, is no limit."""
    wanted = {name: None if value == 0 and name in OFF_AT_ZERO else value for name, value in values.items()}
    return {name: value for name, value in wanted.items() if value != limits[name]}


def _build_limits(ctx: Context) -> dict[str, gr.Number]:
    """A field for every threshold, three in a row."""
    t = ctx.t
    fields: dict[str, gr.Number] = {}
    values = ctx.studio.dataset.limits("svc")
    for at in range(0, len(LIMITS), 3):
        with gr.Row():
            for name, beyond in LIMITS[at : at + 3]:
                off = f" {t('limit.off')}" if name in OFF_AT_ZERO else ""
                fields[name] = gr.Number(values[name] or 0, label=t(f"limit.{name}"), info=t(f"limit.{beyond}") + off,
                                         min_width=120)
    return fields


def findings_html(t: Texts, voice: str, result: dict[str, Any] | None, findings: list[dict[str, Any]]) -> str:
    """The set in figures, the report, and every finding: what, why it matters, what to do."""
    if result is None:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("quality.none"))}</p>'
                f'<p class="ts-muted">{esc(t("quality.none_hint"))}</p></div>')
    whole = result["set"]
    figures = [
        (number(whole["accepted_minutes"]), t("dataset.minutes")), (result["accepted"], t("state.accepted")),
        (result["review"], t("state.review")), (result["rejected"], t("state.rejected")),
    ]  # fmt: skip
    if whole["low_note"]:
        figures.append((f"{whole['low_note']}–{whole['high_note']}", t("quality.range")))
    told = "".join(f"<div><b>{esc(value)}</b><span>{esc(label)}</span></div>" for value, label in figures)
    link = f"/ui-data/quality-report?{urlencode({'voice': voice})}"
    items = "".join(_finding(t, one) for one in findings) or f'<p class="ts-empty">{esc(t("quality.nothing"))}</p>'
    missing = result.get("not_measured") or {}
    left_out = ""
    if missing:
        listed = "; ".join(f"{t.of('reason', name)}: {why}" for name, why in missing.items())
        left_out = f'<p class="ts-muted ts-about">{esc(t("quality.not_measured"))} {esc(listed)}</p>'
    return (f'<div class="ts-summary ts-flat"><div class="ts-figures">{told}</div>'
            f'<a class="ts-btn" target="_blank" rel="noopener" href="{esc(link)}" data-report>'
            f'{esc(t("quality.report"))}</a></div>{set_html(t, whole)}<div class="ts-qa">{items}{left_out}</div>')


def _finding(t: Texts, one: dict[str, Any]) -> str:
    n = len(one["clips"])
    data = f'data-code="{esc(one["code"])}" data-severity="{esc(one["severity"])}"'
    acts = ""
    if n:
        acts = (f'<span class="ts-grow"></span><button type="button" class="ts-btn" data-act="show" {data}>'
                f'{esc(t("quality.show", n=n))}</button>')
        for verdict in ("accepted", "rejected"):
            acts += (f'<button type="button" class="ts-btn" data-act="judge" data-verdict="{verdict}" {data}>'
                     f'{esc(t(f"quality.{verdict}"))}</button>')
    severity = badge(t(f"quality.{one['severity']}"), _KIND.get(one["severity"], "idle"))
    return (f'<div class="ts-finding"><div class="ts-detail-head">{severity}<b>{esc(one["title"])}</b>'
            f'<span class="ts-muted">{esc(one["figures"])}</span>{acts}</div>'
            f'<p>{esc(one["why"])}</p><p class="ts-muted">{esc(one["advice"])}</p></div>')
