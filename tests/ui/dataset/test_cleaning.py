"""Cleaned recordings with their steps, heard before and after."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.settings import Settings
from core.studio import Studio
from ui.dataset.cleaning import before_after_html, table_html
from ui.texts import texts


def test_steps_in_use_and_players(workspace: Path, tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    studio, t = Studio(Settings(workspace=workspace)), texts("en")
    studio.create_voice("v")
    assert "No recordings yet" in table_html(t, studio, "v", None)
    studio.add_recordings("v", [write_wav(tmp_path / "a.wav", 0.3 * np.sin(np.arange(16000) * 0.2), 16000)])
    assert "as recorded" in table_html(t, studio, "v", None)
    assert before_after_html(t, studio, "v", "a.wav") == ""
    studio.run_foreground("clean", {"voice": "v", "options": {"steps": ["highpass", "loudness"]}, "files": []})
    studio.dataset.undo_cleaning("v", "a.wav")
    html = table_html(t, studio, "v", "a.wav")
    assert 'ts-ok">high-pass' in html
    assert 'ts-off">loudness' in html
    player = before_after_html(t, studio, "v", "a.wav")
    assert player.count("data-source=") == 3, "before, and after each step"
    assert "LUFS" in player
    studio.close()
