"""What the page benchmark prepares and how it tells its figures."""

from pathlib import Path

from benchmarks.cue_page import NAME, VOICE, markdown, prepare
from core.settings import load_settings
from core.studio import Studio


def test_a_recording_with_as_many_cues(tmp_path: Path) -> None:
    prepare(tmp_path / "w", 30)
    studio = Studio(load_settings({"workspace": str(tmp_path / "w")}, env={}))
    try:
        assert len(studio.cutting.sheet(VOICE, NAME).cues) == 30
        assert studio.recordings(VOICE)[0].duration_s == 30.0
    finally:
        studio.close()


def test_a_row_for_each_length() -> None:
    row = {"opened_s": 1.2, "frame_ms": [17.0, 33.0], "rows": 20, "nodes": 900, "edit_ms": 2.0, "save_ms": 40.0}
    page = markdown({"rows": [{"cues": 20, **row}, {"cues": 2000, **row}]})
    assert "| 2000 | 1.2 s | 17.0 / 33.0 ms | 20 | 900 | 2.0 ms | 40.0 ms |" in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1
