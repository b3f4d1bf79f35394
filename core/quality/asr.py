"""What a recogniser hears in the clips, held against their texts. Optional: without one this is "not measured"."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.jobs.context import JobContext
    from core.quality.items import Item
    from core.quality.options import QaOptions


def error_rates(
    items: "list[Item]", options: "QaOptions", ctx: "JobContext"
) -> tuple[dict[str, float], dict[str, str]]:
    """(character error rate by clip id, what was not measured and why)."""
    return {}, {"text_differs": "not asked for"}
