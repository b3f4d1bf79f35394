"""The tab Blind test: two checkpoints, of one run or of two, heard without knowing which is which; then the answer."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput, NotFound
from core.training import listening
from ui.controls import ACT_JS, Context, Part, Scene, act_of, bar, esc, html_part, number, section, when
from ui.texts import Texts
from ui.training.routes import Side, blind_url
from ui.training.shown import voice_runs

if TYPE_CHECKING:
    from core.training.listening import ListeningTest, Question, Result

Choices = list[tuple[str, str]]
# 1, 2 and 0 vote while the question is in sight.
KEYS_JS = """
document.addEventListener("keydown", (event) => {
  const choice = { 1: "first", 2: "second", 0: "same" }[event.key];
  if (!choice || event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, textarea")) return;
  if (element.checkVisibility()) element.querySelector(`[data-choice=${choice}]`)?.click();
});
"""


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    t = ctx.t
    # allow_custom_value: the browser may still name a run that was just deleted; `two_sides` puts that right.
    with gr.Row(elem_classes="ts-tight"):
        one = ctx.watch("blind.a", gr.Dropdown([], label=t("listening.one"), info=t("listening.side_info"),
                                               allow_custom_value=True, elem_id="blind-a", min_width=120))
        other = ctx.watch("blind.b", gr.Dropdown([], label=t("listening.other"), info=t("listening.side_info"),
                                                  allow_custom_value=True, elem_id="blind-b", min_width=120))
        rounds = gr.Number(10, precision=0, minimum=1, maximum=100, label=t("listening.rounds"),
                           info=t("listening.rounds_info"), min_width=90, elem_id="blind-rounds")
        start = gr.Button(t("listening.start"), variant="primary", scale=0, min_width=110, elem_id="blind-start")
    kind = gr.Radio([(t("listening.ab"), "ab"), (t("listening.abx"), "abx")], value="ab", show_label=False,
                    container=False, elem_id="blind-kind", elem_classes="ts-inline")
    current = ctx.watch("blind", gr.State(None))
    question = gr.HTML("", js_on_load=ACT_JS + KEYS_JS, apply_default_css=False, elem_id="blind")
    table = html_part(elem_id="blind-tests")
    _wire_actions(ctx, (one, other, kind, rounds), start, (question, table), current)
    _wire_parts(ctx, (one, other), question, table)


def _wire_actions(ctx: Context, form: tuple[Any, ...], start: gr.Button, parts: tuple[gr.HTML, gr.HTML],
                  current: gr.State) -> None:
    t, desk = ctx.t, ctx.studio.training

    def begin(voice: str | None, a: str | None, b: str | None, chosen: listening.Kind, n: float | None) -> Any:
        if not a or not b:
            raise BadInput(t("listening.nothing"), t("listening.nothing_hint"))
        (run, step), (run_b, step_b) = side_of(a), side_of(b)
        test = desk.start_listening(run, step, step_b, chosen, int(n or 10), run_b=run_b)
        ctx.bump(voice)
        return run, test.id

    def act(voice: str | None, now: tuple[str, str] | None, event: gr.EventData) -> tuple[str, str] | None:
        data = act_of(event)
        if data["act"] == "open":
            return data["run"], data["test"]
        if now and data["act"] == "vote":
            choice: Any = data["choice"]  # checked by the desk
            desk.vote(now[0], now[1], int(data["number"]), choice)
        elif now and data["act"] == "reveal":
            desk.close_listening(*now)
        ctx.bump(voice)
        return now

    ctx.on(start.click, begin, [ctx.voice, *form], [current])
    for part in parts:
        ctx.on(part.act, act, [ctx.voice, current], [current])


def _wire_parts(ctx: Context, sides: tuple[gr.Dropdown, gr.Dropdown], question: gr.HTML, table: gr.HTML) -> None:
    t, studio = ctx.t, ctx.studio

    def saved(scene: Scene) -> Hashable:
        return tuple((run.name, run.saved_step) for run in voice_runs(ctx, scene))

    def sides_render(scene: Scene) -> list[Any]:
        choices = side_choices(ctx, [run.name for run in voice_runs(ctx, scene)])
        values = [value for _, value in choices]
        kept = two_sides(values, scene.values["blind.a"], scene.values["blind.b"])
        return [gr.update(choices=choices, value=value) for value in kept]

    def key(scene: Scene) -> Hashable:
        return (saved(scene), scene.values["blind"], scene.revision)

    def render(scene: Scene) -> list[Any]:
        runs = [run.name for run in voice_runs(ctx, scene)]
        tests = [(run, test) for run in runs for test in studio.training.listening_tests(run)]
        now = scene.values["blind"]
        shown = next((test for run, test in tests if now and (run, test.id) == tuple(now)), None)
        if now is None or shown is None:
            lacks = "" if len(side_choices(ctx, runs)) > 1 else f' {esc(t("listening.nothing_hint"))}'
            return [f'<p class="ts-empty">{esc(t("listening.intro"))}{lacks}</p>', earlier_html(t, tests)]
        if shown.closed:
            return [result_html(t, shown, listening.result(shown)), earlier_html(t, tests)]
        asked = studio.training.next_question(now[0], shown.id)
        return [question_html(t, now[0], shown, asked), earlier_html(t, tests)]

    ctx.parts += [
        Part(list(sides), saved, sides_render, page="training"),
        Part([question, table], key, render, page="training"),
    ]


def two_sides(values: Sequence[str], a: str | None, b: str | None) -> tuple[str | None, str | None]:
    """What was chosen as far as it is still there; else the newest, and never the same twice."""
    a = a if a in values else next((one for one in values if one != b), None)
    return a, b if b in values and b != a else next((one for one in values if one != a), None)


def side_of(value: str) -> tuple[str, int]:
    """A choice of the form, ``STEP RUN``, taken apart. Raises BadInput: it is none."""
    step, _, run = value.partition(" ")
    if not step.isdigit() or not run:
        raise BadInput(f"'{value}' is no checkpoint.", "Choose one of the list.")
    return run, int(step)


def side_choices(ctx: Context, runs: Sequence[str]) -> Choices:
    """Every checkpoint of these runs that was rendered, as (label, value)."""
    found: Choices = []
    for run in runs:
        try:
            checkpoints = ctx.studio.training.checkpoints(run)
        except NotFound:  # deleted since the list was made
            continue
        found += [(f"{one.step:,} · {run}", f"{one.step} {run}") for one in checkpoints if one.probes]
    return found


def question_html(t: Texts, run: str, test: "ListeningTest", asked: "Question | None") -> str:
    """A round: the sounds, the votes, how far one is. Once all have a vote: the way to the answer."""
    n_voted = sum(row.choice is not None for row in test.rounds)
    reveal = (f'<button type="button" class="ts-btn{"" if asked else " ts-first"}" data-act="reveal">'
              f'{esc(t("listening.reveal"))}</button>') if n_voted else ""
    if asked is None:
        return (f'<div class="ts-job"><div class="ts-job-line"><b>{esc(t("listening.all_voted"))}</b>{reveal}</div>'
                "</div>")
    words = t("listening.which_x") if test.kind == "abx" else t("listening.which")
    sides: list[tuple[Side, str]] = [("first", t("listening.first")), ("second", t("listening.second"))]
    sides += [("x", "X")] if asked.x else []
    players = "".join(
        f'<div class="ts-blind-side"><b>{esc(label)}</b><audio controls preload="auto" aria-label="{esc(label)}" '
        f'src="{esc(blind_url(run, test.id, asked.number, side))}"></audio></div>' for side, label in sides)
    votes = "".join(
        f'<button type="button" class="ts-btn" data-act="vote" data-choice="{choice}" data-number="{asked.number}">'
        f"{esc(label)} <kbd>{key}</kbd></button>"
        for choice, label, key in (("first", t("listening.first"), 1), ("second", t("listening.second"), 2),
                                   ("same", t("listening.same"), 0)))
    title = t("listening.round", n=asked.number + 1, of=asked.n_rounds)
    return (f'<div class="ts-job" data-round="{asked.number}"><div class="ts-job-line"><b>{esc(title)}</b>'
            f'<span class="ts-grow ts-muted">{esc(words)}</span>{reveal}</div>{bar(n_voted / asked.n_rounds, title)}'
            f'{players}<div class="ts-banner" role="group" aria-label="{esc(words)}">{votes}</div></div>')


def result_html(t: Texts, test: "ListeningTest", found: "Result") -> str:
    """What was what: counts, and how sure they are."""
    chance = t("listening.chance", percent=number(100 * found.p_value, 1))
    if test.kind == "abx":
        said = t("listening.heard") if found.sure else t("listening.not_heard")
        counts = [(t("listening.right"), found.for_a), (t("listening.wrong"), found.for_b)]
    else:
        a, b = name_of(t, test.a), name_of(t, test.b)
        better = a if found.for_a > found.for_b else b
        said = t("listening.preferred", which=better) if found.sure else t("listening.no_preference")
        counts = [(a, found.for_a), (b, found.for_b)]
    counts.append((t("listening.same"), found.same))
    rows = "".join(f'<tr><th scope="row">{esc(name)}</th><td class="ts-num">{n}</td>'
                   f"<td>{bar(n / max(1, found.n_voted), name)}</td></tr>" for name, n in counts)
    more = f'<p class="ts-muted">{esc(t("listening.more_votes"))}</p>' if not found.sure else ""
    return (f'<div class="ts-job ts-result"><p><b>{esc(said)}</b> {esc(chance)}</p>{more}'
            f'<table class="ts-table ts-votes"><tbody>{rows}</tbody></table></div>')


def name_of(t: Texts, label: str) -> str:
    """A side's label, "step 8" or "RUN, step 8", in the page's language."""
    run, _, step = label.rpartition("step ")
    return run + t("listening.step", step=step) if step.isdigit() else label


def earlier_html(t: Texts, tests: "Sequence[tuple[str, ListeningTest]]") -> str:
    """Earlier tests, newest first: what was compared, how it stands."""
    if not tests:
        return ""
    kinds = {"ab": t("listening.ab"), "abx": t("listening.abx")}
    names = (t("run.started"), t("run.name"), t("listening.one"), t("listening.other"), t("training.kind"),
             t("listening.votes"))
    head = "".join(f'<th scope="col">{esc(name)}</th>' for name in names)
    rows = ""
    for run, test in sorted(tests, key=lambda one: one[1].made_at, reverse=True):
        n_voted = sum(row.choice is not None for row in test.rounds)
        label = t("listening.result") if test.closed else t("listening.go_on")
        rows += (f'<tr><td>{when(t, test.made_at)}</td><td class="ts-ell">{esc(run)}</td>'
                 f"<td>{esc(name_of(t, test.a))}</td><td>{esc(name_of(t, test.b))}</td>"
                 f"<td>{esc(kinds[test.kind])}</td><td>{n_voted} / {len(test.rounds)}</td>"
                 f'<td class="ts-num"><button type="button" class="ts-btn" data-act="open" data-run="{esc(run)}" '
                 f'data-test="{esc(test.id)}">{esc(label)}</button></td></tr>')
    return (f'{section(t("listening.tests"))}<div class="ts-table-box"><table class="ts-table"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")
