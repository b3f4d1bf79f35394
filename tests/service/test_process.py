"""The job that makes a character's clips: cleaned first, documented step names, transcripts where they can be had."""

from pathlib import Path

from core.settings import load_settings
from core.studio import Studio

STEPS = ["convert_audio", "denoise_audio", "slice_audio", "asr_transcribe"]


def test_all_steps_in_their_order(workspace: Path, speech_man: Path) -> None:
    studio = Studio(load_settings({"workspace": str(workspace)}, env={}))
    voice = studio.create_voice("bob")
    studio.add_recordings("bob", [speech_man])
    told: list[tuple[float, str]] = []
    params = {"voice": "bob", "denoise": True, "language": "en"}
    result = studio.run_foreground("character-audio", params, lambda fraction, said: told.append((fraction, said)))
    assert result["clips"] >= 1
    assert result["failed"] == {}
    steps = list(dict.fromkeys(said.partition(":")[0] for _, said in told))
    assert [step for step in steps if step in STEPS] == STEPS
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert list(voice.denoised.rglob("*.flac")), "the cleaned recording is kept"
    if not result["transcribed"]:
        assert any("transcripts" in words for words in result["warnings"]), "what is missing is said"
    before = {path: path.stat().st_mtime_ns for path in voice.denoised.rglob("*.flac")}
    again = studio.run_foreground("character-audio", params)
    assert again["clips"] == result["clips"]
    assert {path: path.stat().st_mtime_ns for path in voice.denoised.rglob("*.flac")} == before, "cleaned once"
    studio.close()
