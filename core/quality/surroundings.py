"""What a clip is beside the others: copies, other voices, the reach and the room of its source."""

import statistics
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from core.quality import asr, duplicates, speakers
from core.quality.figures import ClipFigures
from core.quality.findings import Surroundings
from core.quality.items import Item
from core.quality.options import QaOptions
from core.quality.thresholds import Thresholds

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_SOURCE_QUANTILE = 0.9
_LEAST_SOURCE_S = 3.0  # less sound than this cannot show how high a source reaches
_LEAST_ROOMS = 3


def surroundings(
    items: list[Item],
    figures: dict[str, ClipFigures],
    embedder: speakers.Embedder,
    limits: Thresholds,
    options: QaOptions,
    kept: Path,
    ctx: "JobContext",
) -> tuple[dict[str, Surroundings], dict[str, str]]:
    """(what the set tells of every item, what was not measured and why).

    `figures` by item id (items without are left out of the comparisons); `kept`: file for what a recogniser heard.
    Raises Cancelled.
    """
    sounding = [item for item in items if item.id in figures and figures[item.id].fingerprint]
    reach, rooms = _reach(sounding, figures), _rooms(sounding, figures)
    copies = _copies(sounding, figures, limits)
    vectors = [speakers.unpack(figures[item.id].speaker) for item in sounding]
    lengths = [figures[item.id].active_s for item in sounding]
    far = speakers.outliers(vectors) if embedder == speakers.TIMBRE else speakers.strangers(vectors, lengths)
    distance = {item.id: z for item, z in zip(sounding, far, strict=True)}
    heard, not_measured = asr.listen(sounding, options, kept, ctx)
    expected = asr.expected_language(heard, options)
    if len(sounding) < speakers.LEAST_CLIPS:
        not_measured["other_speaker"] = f"fewer than {speakers.LEAST_CLIPS} clips"
    elif embedder == speakers.TIMBRE:
        not_measured["speaker_network"] = "by timbre alone, which misses similar voices; import a speaker network"
    around = {}
    for item in items:
        other, similarity = copies.get(item.id, (None, None))
        said = heard.get(item.id)
        around[item.id] = Surroundings(
            source_bandwidth_hz=reach.get(item.source),
            source_rt60_s=rooms.get(item.source),
            duplicate_of=other,
            similarity=similarity,
            speaker_z=distance.get(item.id),
            error_rate=said.error_rate if said else None,
            language=said.language if said else "",
            expected_language=expected,
        )
    return around, not_measured


def _reach(items: list[Item], figures: dict[str, ClipFigures]) -> dict[str, float]:
    """How high each source's clips reach (nine of ten reach no higher), Hz; sources with too little sound left out."""
    by_source: defaultdict[str, list[ClipFigures]] = defaultdict(list)
    for item in items:
        by_source[item.source].append(figures[item.id])
    return {
        source: sorted(one.bandwidth_hz for one in members)[int(_SOURCE_QUANTILE * (len(members) - 1) + 0.5)]
        for source, members in by_source.items()
        if sum(one.active_s for one in members) >= _LEAST_SOURCE_S
    }


def _rooms(items: list[Item], figures: dict[str, ClipFigures]) -> dict[str, float]:
    """The median reverberation time of each source with three clips or more that show one, s."""
    by_source: defaultdict[str, list[float]] = defaultdict(list)
    for item in items:
        if (rt60_s := figures[item.id].rt60_s) is not None:
            by_source[item.source].append(rt60_s)
    return {source: statistics.median(rooms) for source, rooms in by_source.items() if len(rooms) >= _LEAST_ROOMS}


def _copies(items: list[Item], figures: dict[str, ClipFigures], limits: Thresholds) -> dict[str, tuple[str, float]]:
    """Clip -> (the better take of the same, similarity). A person's choice is the better take, then less noise."""
    if limits.duplicate_similarity is None:
        return {}
    found_in = [figures[item.id] for item in items]
    found = duplicates.pairs(
        [duplicates.unpack(one.fingerprint) for one in found_in],
        [one.active_s for one in found_in],
        limits.duplicate_similarity,
    )

    def worth(index: int) -> tuple[bool, float, int]:
        clip = items[index].clip
        return (bool(clip and clip.by_user and clip.verdict == "accepted"), found_in[index].snr_db, -index)

    copies: dict[str, tuple[str, float]] = {}
    for first, second, similarity in found:
        worse, better = sorted((first, second), key=worth)
        copies.setdefault(items[worse].id, (items[better].id, round(similarity, 3)))
    return copies
