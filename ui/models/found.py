"""What an import found and did: each file in words, each voice model with what it still needs."""

from typing import TYPE_CHECKING, Any

from ui.controls import badge, esc

if TYPE_CHECKING:
    from core.jobs.model import Job
    from ui.texts import Texts


def found_html(t: "Texts", job: "Job | None") -> str:
    """The result of the newest import or look; before the first one what to do."""
    result = job.result if job is not None and job.state == "completed" else None
    if not result:
        said, then = esc(t("models.nothing")), esc(t("models.nothing_next"))
        return f'<div class="ts-empty-box"><p>{said}</p><p>{then}</p></div>'
    looked = bool(result.get("looked"))
    head = t("models.looked" if looked else "models.did", n=len(result["files"]))
    return (f'<div class="ts-note-box" role="status"><p>{esc(head)}</p></div>'
            f'{voices_html(t, result["voices"], looked)}{files_html(t, result)}')


def voices_html(t: "Texts", voices: list[dict[str, Any]], looked: bool) -> str:
    """One row a voice model that is there now, or would be."""
    if not voices:
        return ""
    rows = ""
    for voice in voices:
        needs = f'<div class="ts-muted">{esc(voice["needs"])}</div>' if voice["needs"] else ""
        if voice["folder"]:
            state = badge(t("models.ready" if not voice["needs"] else "models.waits"),
                          "ok" if not voice["needs"] else "warn")
        else:
            state = badge(t("models.would_be"), "idle") if looked else badge(t("models.refused"), "bad")
        beside = ", ".join(t.of("models.kind", kind) for kind in voice["beside"]) or "–"
        speakers = ", ".join(voice["speakers"][:6]) + (" …" if len(voice["speakers"]) > 6 else "")
        rows += (f'<tr><td>{state}</td><td>{esc(voice["voice"])}</td><td>{esc(voice["model"])}</td>'
                 f'<td>{esc(voice["encoder"])}{needs}</td><td>{esc(speakers)}</td><td>{esc(beside)}</td></tr>')
    return _table(t, ("state", "voice", "model", "encoder", "speakers", "beside"), rows, "ts-found-voices")


def files_html(t: "Texts", result: dict[str, Any]) -> str:
    """One row a file: what it is, what is wrong with it, what can be done, what became of it."""
    done = {row["name"]: row["what"] for row in result["installed"]}
    rows = ""
    for file in sorted(result["files"], key=lambda file: (file["usable"], not file["problem"])):
        if not file["usable"]:
            mark = badge(t("models.refused"), "bad")
        else:
            mark = badge(t("models.fitted"), "warn") if file["problem"] else badge(t("models.good"), "ok")
        more = "".join(f"<div>{esc(line)}</div>" for line in (file["problem"], file["fix"]) if line)
        more += f'<div>{esc(done[file["name"]])}</div>' if file["name"] in done else ""
        kind = esc(t.of("models.kind", file["kind"]))
        rows += (f'<tr><td>{mark}</td><td class="ts-wrap">{esc(file["name"])}</td><td>{kind}</td>'
                 f'<td class="ts-wrap"><b>{esc(file["says"])}</b><div class="ts-muted">{more}</div></td></tr>')
    return _table(t, ("state", "file", "kind", "says"), rows, "ts-found-files")


def _table(t: "Texts", heads: tuple[str, ...], rows: str, name: str) -> str:
    head = "".join(f'<th scope="col">{esc(t(f"models.col_{one}"))}</th>' for one in heads)
    return (f'<div class="ts-table-box"><table class="ts-table {name}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")
