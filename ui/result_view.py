"""What the Convert page shows of results: before and after, figures, downloads, the list of outputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engines.sovits.convert_options import ConvertOptions
from core.errors import StudioError
from ui.controls import clock, esc, file_url, number, problem_html, when
from ui.players import Source, player_html
from ui.texts import Texts

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.settings import Settings

SAID = "text-to-voice"


def conversion_of(job: "Job") -> dict[str, Any]:
    """The fields of ConvertOptions that a job was asked for; a text's source is what its engine said."""
    if job.kind != SAID:
        return job.params
    return {"transpose": "auto", **(job.params.get("convert") or {}), "source": job.params.get("spoken") or ""}


def result_html(t: Texts, settings: "Settings", job: "Job | None") -> str:
    """One conversion: players before and after with one switch, its figures, the file and its sidecar."""
    if job is None or not job.result:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("convert.empty"))}</p>'
                f'<p class="ts-muted">{esc(t("convert.empty_hint"))}</p></div>')
    output = Path(str(job.result["output"]))
    if not output.is_file():
        return f'<div class="ts-problem">{esc(t("convert.gone", file=output.name))}</div>'
    sources = [Source(t("convert.after"), output)]
    before = Path(str(conversion_of(job).get("source", "")))
    # Only what lies under the outputs may be shown: a path from the command line may be anywhere.
    if before.is_file() and before.resolve().is_relative_to(settings.outputs.resolve()):
        sources.append(Source(t("convert.before"), before))
    facts = [
        (t("convert.length"), clock(job.result.get("duration_s"))),
        (t("convert.key_used"), _key(job)),
        (t("convert.rtf"), number(job.result.get("rtf"), 2)),
        (t("convert.model"), _model(job)),
    ]
    if job.kind == SAID:
        facts.append((t("language.label"), t.of("language", str(job.result.get("language", "")))))
    told = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(v)}</dd></div>" for k, v in facts)
    try:
        player = player_html(t, sources, height=88)
    except StudioError as error:
        player = problem_html(t, error.to_dict())
    return (f'<div class="ts-detail"><div class="ts-detail-head"><b class="ts-ell ts-grow">{esc(output.name)}</b>'
            f"{downloads_html(t, job)}</div>{player}<dl class=\"ts-facts\">{told}</dl>{_used(t, job)}</div>")


def _used(t: Texts, job: "Job") -> str:
    used = changed_options(conversion_of(job))
    if not used:
        return ""
    return f'<p class="ts-muted ts-about ts-ell" title="{esc(used)}">{esc(t("convert.used"))}: {esc(used)}</p>'


_NOT_TOLD = frozenset({"voice", "source", "out", "model", "transpose", "format", "seed"})


def changed_options(params: dict[str, Any]) -> str:
    """The options that are not at their defaults, by the names that the command line has; paths by their file."""
    told = []
    for name, value in params.items():
        field = ConvertOptions.model_fields.get(name)
        if field is None or name in _NOT_TOLD or value in (None, "") or value == field.default:
            continue
        if isinstance(value, dict):
            value = ", ".join(value)
        told.append(f"{name} {Path(str(value)).name if name.endswith('_file') else value}")
    return "; ".join(told)


def _key(job: "Job") -> str:
    value = float((job.result or {}).get("transpose", 0) or 0)
    return f"{value:+g}" if value else "0"


def _model(job: "Job") -> str:
    return Path(str((job.result or {}).get("model", "") or "")).name


def downloads_html(t: Texts, job: "Job") -> str:
    """Links to a job's output and to the sidecar that reproduces it, where they are still there."""
    result = job.result or {}
    links: list[str] = []
    for name, label in (("output", t("convert.download")), ("sidecar", t("convert.sidecar"))):
        path = Path(str(result.get(name) or ""))
        if path.is_file():
            links.append(f'<a class="ts-btn" href="{esc(file_url(t.lang, path))}" download="{esc(path.name)}" '
                         f'title="{esc(path.name)}">{esc(label)}</a>')
    return " ".join(links)


def outputs_table(t: Texts, jobs: "Sequence[Job]", shown: int | None) -> str:
    """Earlier conversions of this voice, newest first."""
    if not jobs:
        return f'<p class="ts-empty">{esc(t("convert.no_outputs"))}</p>'
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("convert.file", ""), ("convert.length", ' class="ts-num"'), ("convert.key_used", ' class="ts-num"'),
        ("convert.made", "")))
    rows = ""
    for job in jobs:
        result = job.result or {}
        name = Path(str(result.get("output", ""))).name
        rows += (
            f'<tr aria-selected="{"true" if job.id == shown else "false"}"><td class="ts-ell" title="{esc(name)}">'
            f'{esc(name)}</td><td class="ts-num">{clock(result.get("duration_s"))}</td>'
            f'<td class="ts-num">{_key(job)}</td><td>{when(t, job.finished_at)}</td>'
            f'<td class="ts-num"><button type="button" class="ts-btn" data-act="open" data-job="{job.id}">'
            f'{esc(t("run.open"))}</button> <button type="button" class="ts-btn" data-act="settings" '
            f'data-job="{job.id}">{esc(t("convert.use_settings"))}</button> {downloads_html(t, job)}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-outputs"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")
