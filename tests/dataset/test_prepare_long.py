"""Memory does not grow with the length of a recording. Minutes long: run with -m slow."""

from pathlib import Path

import pytest

from benchmarks.prep import make_recording, measure

pytestmark = pytest.mark.slow


@pytest.mark.timeout(3600)
def test_memory_is_flat_and_below_the_limit(tmp_path: Path) -> None:
    figures = {}
    for hours in (0.1, 1.0):
        path = make_recording(tmp_path / f"{hours}.flac", hours)
        figures[hours] = measure(tmp_path / f"ws-{hours}", path, {"slicer": "vad"})
        assert figures[hours]["minutes_in"] == pytest.approx(hours * 60, rel=0.01)
        assert figures[hours]["accepted"] > 0.8 * figures[hours]["clips"]
    growth_mb = figures[1.0]["peak_rss_mb"] - figures[0.1]["peak_rss_mb"]
    # 0.9 h more may cost 6 MB of envelope, the table of clips, and what the allocator keeps; ten hours stay far below.
    assert growth_mb < 60
    assert figures[0.1]["peak_rss_mb"] + 11 * growth_mb < 1500
