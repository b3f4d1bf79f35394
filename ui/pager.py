"""Turning pages of a long table."""

from ui.controls import esc
from ui.texts import Texts


def pager_html(t: Texts, page: int, n: int, per_page: int) -> str:
    """Buttons that turn pages (``data-act=page``); nothing where one page holds all."""
    last = max(0, (n - 1) // per_page)
    if last == 0:
        return ""

    def button(to: int, key: str) -> str:
        off = "" if 0 <= to <= last and to != page else " disabled"
        return (f'<button type="button" class="ts-btn" data-act="page" data-page-to="{to}"{off}>'
                f"{esc(t(key))}</button>")

    told = t("page.place", first=page * per_page + 1, last=min(n, (page + 1) * per_page), n=n)
    return (f'<span class="ts-pager">{button(page - 1, "page.before")}<span class="ts-muted">{esc(told)}</span>'
            f'{button(page + 1, "page.after")}</span>')
