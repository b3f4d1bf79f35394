"""The catalogue: every set of weights that the studio knows, what for, whose, whether it is here, how to get it."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.controls import Context, Part, Scene, act_of, badge, esc, html_part
from ui.training.runs import megabytes

if TYPE_CHECKING:
    from core.models.entry import Presence
    from ui.texts import Texts

_BADGES = {"present": "ok", "partial": "warn", "absent": "idle"}


def catalogue_html(t: "Texts", entries: "list[tuple[Presence, int]]") -> str:
    """One row an entry (with the bytes it takes here); those that are here come first."""
    order = {"present": 0, "partial": 1, "absent": 2}
    rows = ""
    for found, taken in sorted(entries, key=lambda one: order[one[0].state]):
        entry = found.entry
        size = t("models.in_package") if not entry.size_bytes else megabytes(taken or entry.size_bytes)
        how = ""
        if found.state != "present":
            lacks = t("models.missing", files=", ".join(found.missing))
            missing = f"<p>{esc(lacks)}</p>" if found.state == "partial" else ""
            checksum = "".join(f"<p>{esc(name)}: <code>sha256 {esc(sha256)}</code></p>"
                               for name, sha256 in entry.checksums.items())
            checksum = checksum or f'<p>{esc(t("models.no_checksum"))}</p>'
            how = (f'<tr><td></td><td colspan="5" class="ts-wrap"><details class="ts-how"><summary>'
                   f'{esc(t("models.how"))} {esc(entry.name)}</summary>{missing}'
                   f"<p>{esc(entry.origin)}</p><p>{esc(entry.by_hand)}</p>{checksum}</details></td></tr>")
        remove = ""
        if found.state == "present" and not entry.ships:
            sure = t("models.remove_sure", name=entry.name)
            remove = (f'<button type="button" class="ts-btn ts-danger" data-act="remove" data-name="{esc(entry.name)}" '
                      f'data-confirm="{esc(sure)}">{esc(t("models.delete"))}</button>')
        rows += (f'<tr><td>{badge(t(f"models.{found.state}"), _BADGES[found.state])}</td><td class="ts-wrap">'
                 f'<b>{esc(entry.name)}</b></td><td class="ts-wrap">{esc(entry.purpose)}</td>'
                 f'<td class="ts-num">{size}</td><td class="ts-wrap">{esc(entry.licence)}</td>'
                 f'<td class="ts-num">{remove}</td></tr>{how}')
    heads = "".join(f'<th scope="col">{esc(t(f"models.col_{one}"))}</th>' for one in (
        "state", "name", "purpose", "size", "licence"))
    return (f'<div class="ts-table-box"><table class="ts-table ts-catalogue"><thead><tr>{heads}<th scope="col">'
            f'<span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead><tbody>{rows}</tbody></table></div>')


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    table = html_part(elem_id="catalogue")
    changed = ctx.watch("catalogue_changed", gr.State(0))

    def act(count: int, event: gr.EventData) -> int:
        ctx.studio.models.remove(act_of(event)["name"])
        return count + 1

    ctx.on(table.act, act, [changed], [changed])

    def render(_: Scene) -> list[Any]:
        desk = ctx.studio.models
        return [catalogue_html(ctx.t, [(found, desk.bytes_of(found)) for found in desk.presence()])]

    def key(scene: Scene) -> Any:
        return (scene.values["catalogue_changed"], max((j.id for j in scene.jobs if not j.active), default=0))

    ctx.parts.append(Part([table], key, render, page="models"))
