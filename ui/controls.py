"""What every page shares: the context, guarded event handlers, live parts, and small server-drawn controls."""

import contextlib
import functools
import html
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr

from core.errors import Cancelled, StudioError
from ui.texts import Texts

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import Studio, SystemStatus, VoiceSummary

LOG = logging.getLogger("studio.page")
ACTIVE = ("queued", "running")
ACT_JS = "TS.acts(element, trigger); /* 'act' */"


@dataclass
class Scene:
    """What one session looks at, and the studio's state at this moment; made once a tick and shared by all parts."""

    voice: str | None
    page: str
    status: "SystemStatus"
    jobs: "list[Job]"  # newest first
    voices: "list[VoiceSummary]"
    revision: int  # grows whenever someone changed this voice from a page
    values: dict[str, Any] = field(default_factory=dict)  # of the components given to Context.watch

    def latest(self, kind: str, voice: str | None = None) -> "Job | None":
        """The newest job of a kind, of one voice if given."""
        return next((j for j in self.jobs if j.kind == kind and voice in (None, j.voice)), None)

    def finished(self, kind: str) -> int:
        """The newest id among finished jobs of a kind for this voice; changes when one ends."""
        return max((j.id for j in self.jobs if j.kind == kind and j.voice == self.voice and j.state not in ACTIVE),
                   default=0)


@dataclass
class Part:
    """A part of a page that follows the studio: drawn again only when ``key(scene)`` changed.

    ``page``: only while that page is open (None: always); a part made inside a page gets it by itself. ``render``
    gives one value per output.
    """

    outputs: Sequence[Any]
    key: Callable[[Scene], Hashable]
    render: Callable[[Scene], Sequence[Any]]
    page: str | None = None
    restless: bool = False  # changes on every beat; that alone is no reason to draw


@dataclass
class Context:
    """What a page needs to be built: the studio, its labels, the voice selector, and where to put its live parts."""

    studio: "Studio"
    t: Texts
    voice: gr.Dropdown
    parts: list[Part] = field(default_factory=list)
    watched: dict[str, Any] = field(default_factory=dict)
    watched_on: dict[str, str | None] = field(default_factory=dict)
    page: str | None = None  # the page that is being built; None around the pages
    revisions: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def building(self, page: str) -> Iterator[None]:
        """What is watched, and the parts that are added meanwhile, belong to ``page``."""
        self.page, begun = page, len(self.parts)
        yield
        for part in self.parts[begun:]:
            part.page = page
        self.page = None

    def watch(self, name: str, component: Any) -> Any:
        """Put the component's value into every scene of its page as ``scene.values[name]``."""
        self.watched[name] = component
        self.watched_on[name] = self.page
        return component

    def refresh(self, event: Callable[..., Any]) -> None:
        """After ``event``, draw what changed."""
        event(None, js="() => TS.pulse()", api_visibility="private")

    def seen_on(self, page: str) -> list[int]:
        """Indices of the parts that can be seen while ``page`` is open."""
        return [index for index, part in enumerate(self.parts) if part.page in (None, page)]

    def bump(self, voice: str | None) -> None:
        """Say that this voice's files changed, so that every session draws them again."""
        self.revisions[voice or ""] += 1

    def on(self, event: Callable[..., Any], fn: Callable[..., Any], inputs: Sequence[Any] = (),
           outputs: Sequence[Any] = (), *, failed: Any = None, **options: Any) -> Any:
        """Wire an action: ``fn`` guarded (``failed``: see there), then everything that changed is drawn again."""
        options.setdefault("show_progress", "hidden")
        first = event(guarded(self.t, fn, failed), inputs=list(inputs), outputs=list(outputs), api_visibility="private",
                      **options)
        self.refresh(first.then)
        return first


def say(t: Texts, error: BaseException) -> None:
    """Show an error as a notice that screen readers announce. Never a traceback; that goes to the log."""
    if isinstance(error, Cancelled):
        return
    if isinstance(error, StudioError):
        message, hint = t.error(error)
        text = f"{esc(message)}<br>{esc(hint)}" if hint else esc(message)
        gr.Warning(text, title=t("notice.problem"), duration=12)
    else:
        LOG.error("an action of the page failed", exc_info=error)
        gr.Warning(esc(t("notice.unexpected")), title=t("notice.problem"), duration=12)


def guarded(t: Texts, fn: Callable[..., Any], failed: Any = None) -> Callable[..., Any]:
    """``fn`` whose errors become notices. Its outputs then get ``failed``, or stay as they were."""

    @functools.wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  the page's door: nothing may escape as a traceback
            say(t, error)
            return gr.skip() if failed is None else failed

    return run


def act_of(event: gr.EventData) -> dict[str, str]:
    """The data-* attributes of the element that was clicked in a server-drawn part."""
    data: dict[str, str] = event._data or {}
    return data


def html_part(value: str = "", **options: Any) -> gr.HTML:
    """A server-drawn part whose elements with data-act raise the event ``act``."""
    return gr.HTML(value, js_on_load=ACT_JS, apply_default_css=False, **options)


def heading(title: str) -> None:
    """The page's title; it takes the focus when the page opens so that a screen reader says where one is."""
    gr.HTML(f'<h1 tabindex="-1">{esc(title)}</h1>', apply_default_css=False, elem_classes="ts-title", js_on_load=None)


def section(title: str, hint: str = "") -> str:
    """A section's heading, with a line of help."""
    more = f'<span class="ts-muted">{esc(hint)}</span>' if hint else ""
    return f'<h2 class="ts-h2">{esc(title)}{more}</h2>'


def esc(text: object) -> str:
    """HTML-escaped text."""
    return html.escape(str(text), quote=True)


def file_url(lang: str, path: str | Path, root: str = "") -> str:
    """The page's own address of a file that lies under the allowed folders."""
    return f"{root}/{lang}/gradio_api/file={quote(str(path))}"


def clock(seconds: float | None) -> str:
    """``3:07`` or ``1:03:07``; ``–`` where unknown."""
    if seconds is None or seconds < 0 or seconds != seconds:
        return "–"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def gigabytes(n_bytes: float) -> str:
    """``9.1 GB`` (powers of 1024, as the systems' own monitors count)."""
    size = n_bytes / 1024**3
    return f"{size:.0f} GB" if size >= 100 else f"{size:.1f} GB"


def number(value: float | None, digits: int = 1, missing: str = "–") -> str:
    """A figure with fixed decimals; a dash where there is none (None, NaN, infinite)."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return missing
    return f"{value:.{digits}f}"


def when(t: Texts, unix_s: float | None) -> str:
    """A past moment in words: today's clock time, else the date."""
    if not unix_s:
        return "–"
    then = time.localtime(unix_s)
    if time.time() - unix_s < 86400:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%Y-%m-%d %H:%M", then)


def eta_text(t: Texts, eta_s: float | None) -> str:
    """Time left in words, to the precision that an estimate deserves."""
    if eta_s is None:
        return ""
    if eta_s < 90:
        return t("eta.seconds", n=max(1, round(eta_s)))
    if eta_s < 5400:
        return t("eta.minutes", n=round(eta_s / 60))
    return t("eta.hours", n=f"{eta_s / 3600:.1f}")


def badge(word: str, kind: str) -> str:
    """A state as a word with its colour; the word alone carries the meaning."""
    return f'<span class="ts-badge ts-{esc(kind)}">{esc(word)}</span>'


STATE_KIND = {"completed": "ok", "ok": "ok", "accepted": "ok", "running": "run", "queued": "idle", "failed": "bad",
              "fail": "bad", "rejected": "bad", "interrupted": "warn", "review": "warn", "warn": "warn",
              "cancelled": "idle", "stopped": "idle", "preparing": "run"}


def state_badge(t: Texts, state: str) -> str:
    """A job's, run's, clip's or check's state."""
    return badge(t.of("state", state), STATE_KIND.get(state, "idle"))


def bar(fraction: float, label: str) -> str:
    """A progress bar that screen readers can read."""
    percent = max(0, min(100, round(fraction * 100)))
    return (f'<div class="ts-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
            f'aria-label="{esc(label)}"><i style="width:{percent}%"></i></div>')


def problem_html(t: Texts, error: dict[str, Any] | None) -> str:
    """A stored error (``StudioError.to_dict``) as message and hint."""
    if not error:
        return ""
    wrapped = StudioError(str(error.get("message", "")), str(error.get("hint", "")))
    title = t.of("error", str(error.get("code", "error")))
    hint = f'<p class="ts-muted">{esc(wrapped.hint)}</p>' if wrapped.hint else ""
    return f'<div class="ts-problem" role="alert"><p><b>{esc(title)}</b> {esc(wrapped.message)}</p>{hint}</div>'


def job_panel(t: Texts, job: "Job | None") -> str:
    """Progress, time left and cancel of a job while it is under way; what went wrong after it failed; else nothing."""
    if job is None or job.state in ("completed", "cancelled"):
        return ""
    name = t.of("job", job.kind)
    if job.state in ACTIVE:
        told = job.message or t.of("state", job.state)
        return (
            f'<div class="ts-job"><div class="ts-job-line"><b>{esc(name)}</b><span class="ts-grow">{esc(told)}</span>'
            f"<span>{round(job.progress * 100)} %</span>"
            f'<span class="ts-muted">{esc(eta_text(t, job.eta_now_s()))}</span>'
            f'<button type="button" class="ts-btn" data-act="cancel" data-job="{job.id}">{esc(t("job.cancel"))}'
            f"</button></div>{bar(job.progress, name)}</div>"
        )
    again = (f'<button type="button" class="ts-btn" data-act="retry" data-job="{job.id}">'
             f'{esc(t("job.retry"))}</button>'
             f'<a class="ts-link" href="#jobs">{esc(t("job.log"))}</a>')
    return (f'<div class="ts-job"><div class="ts-job-line">{state_badge(t, job.state)}<b class="ts-grow">{esc(name)}'
            f"</b>{again}</div>{problem_html(t, job.error)}</div>")


def job_actions(ctx: Context, part: gr.HTML) -> None:
    """Wire the buttons that ``job_panel`` draws."""

    def act(event: gr.EventData) -> None:
        data = act_of(event)
        if data.get("act") == "cancel":
            ctx.studio.cancel(int(data["job"]))
        elif data.get("act") == "retry":
            ctx.studio.retry(int(data["job"]))

    ctx.on(part.act, act)


def job_key(job: "Job | None") -> Hashable:
    """What of a job is visible in ``job_panel``."""
    return job and (job.id, job.state, round(job.progress, 2), job.message, round(job.eta_now_s() or 0, -1))


def need_voice(t: Texts, voice: str | None) -> str:
    """The chosen voice, or an error that says to choose one."""
    if not voice:
        raise StudioError(t("notice.no_voice"), t("notice.no_voice_hint"))
    return voice
