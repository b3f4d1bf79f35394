"""What the set tells of a clip, on figures made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.jobs.context import ForegroundContext
from core.quality import duplicates, speakers
from core.quality.figures import ClipFigures
from core.quality.findings import Surroundings
from core.quality.items import Item
from core.quality.options import parse_qa_options
from core.quality.surroundings import surroundings
from core.quality.thresholds import parse_thresholds
from core.settings import load_settings
from tests.dataset.test_history import clip


def figures(seed: int, **changes: float) -> ClipFigures:
    rng = np.random.default_rng(seed)
    made = ClipFigures(
        2.0, -20.0, -1.0, 40.0, 0.0, 9000.0, 1.9, rt60_s=0.3,
        fingerprint=duplicates.pack(rng.integers(-127, 128, 240).astype(np.int8)),
        speaker=speakers.pack(rng.standard_normal(40).astype(np.float32)),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def item(name: str, source: str = "a.wav") -> Item:
    return Item(name, name, Path(name), name, source, "", "")


def around(
    items: list[Item], known: dict[str, ClipFigures], workspace: Path
) -> tuple[dict[str, Surroundings], dict[str, str]]:
    context = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    limits, options = parse_thresholds(), parse_qa_options({})
    return surroundings(items, known, speakers.TIMBRE, limits, options, workspace / "heard.json", context)


def test_reach_and_room_belong_to_the_source(workspace: Path) -> None:
    items = [item(name) for name in "abc"] + [item("d", "b.wav")]
    known = {
        "a": figures(1, bandwidth_hz=3000.0, rt60_s=0.9),
        "b": figures(2, bandwidth_hz=3500.0, rt60_s=0.3),
        "c": figures(3, bandwidth_hz=8000.0, rt60_s=0.4),
        "d": figures(4, bandwidth_hz=1000.0),
    }
    found, why = around(items, known, workspace)
    assert [found[name].source_bandwidth_hz for name in "abcd"] == [8000.0, 8000.0, 8000.0, None]
    assert [found[name].source_rt60_s for name in "abcd"] == [0.4, 0.4, 0.4, None]
    assert found["a"].speaker_z is None
    assert "fewer than 8" in why["other_speaker"]


def test_the_better_of_two_takes_is_kept(workspace: Path) -> None:
    known = {"a": figures(1, snr_db=20.0), "b": figures(1, snr_db=30.0), "c": figures(3)}
    found, _ = around([item(name) for name in "abc"], known, workspace)
    assert [found[name].duplicate_of for name in "abc"] == ["b", None, None]
    chosen = replace(item("a"), clip=replace(clip("a"), by_user=True))
    found, _ = around([chosen, item("b"), item("c")], known, workspace)
    assert [found[name].duplicate_of for name in "abc"] == [None, "a", None], "a person's choice is the better one"


def test_silent_and_unread_clips_are_not_compared(workspace: Path) -> None:
    known = {"a": figures(1), "b": replace(figures(1), fingerprint="", speaker="")}
    found, _ = around([item(name) for name in "abc"], known, workspace)
    assert found["a"].duplicate_of is None
    assert found["b"] == Surroundings(None, None)
    assert found["c"].duplicate_of is None


def test_two_thousand_clips(workspace: Path) -> None:
    known = {str(n): figures(n % 1990, active_s=1.0 + n % 1990 / 100) for n in range(2000)}
    found, _ = around([item(name) for name in known], known, workspace)
    assert sum(one.duplicate_of is not None for one in found.values()) == 10
    assert all(one.speaker_z is not None for one in found.values())


def test_a_network_compares_directions_of_long_clips_only(workspace: Path) -> None:
    rng = np.random.default_rng(0)
    centre, other = rng.standard_normal((2, 64))
    known = {}
    for n in range(12):
        vector = (other if n >= 10 else centre) + 0.3 * rng.standard_normal(64)
        packed = speakers.pack((vector / np.linalg.norm(vector)).astype(np.float32))
        known[str(n)] = replace(figures(n), speaker=packed, active_s=1.0 if n == 11 else 2.0)
    context = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    network = speakers.Embedder("campplus-1", Path("campplus.onnx"))
    found, why = surroundings(
        [item(name) for name in known], known, network, parse_thresholds(), parse_qa_options({}),
        workspace / "heard.json", context,
    )  # fmt: skip
    assert (found["10"].speaker_z or 0.0) > 5.0 > max(found[str(n)].speaker_z or 0.0 for n in range(10))
    assert found["11"].speaker_z is None
    assert "speaker_network" not in why
