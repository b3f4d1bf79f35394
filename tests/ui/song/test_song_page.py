"""What the page Song draws: the desk's values as options, a song in all its parts, and nothing from elsewhere."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from core.audio.encode import write_audio
from core.errors import BadInput, NotFound, Unavailable
from core.jobs.model import Job
from core.settings import Settings, load_settings
from core.song.options import MixOptions
from core.studio import Studio
from tests.song.test_mix import RATE_HZ, band
from ui.controls import Context
from ui.song.desk import build_desk, mix_of
from ui.song.result import song_html, songs_table
from ui.texts import texts

BUSES = ("mix", "vocals", "accompaniment")
METERS = {"meter_s": 0.5, "matched_db": 1.5, **{bus: {"levels_db": [-20.0, -18.5]} for bus in BUSES}}


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return load_settings({"workspace": workspace, "pretrain_dir": workspace / "pretrain"}, env={})


def job(**result: Any) -> Job:
    blank = dict.fromkeys(Job.__dataclass_fields__)
    made = {"id": 4, "kind": "song", "voice": "a", "params": {}, "state": "completed", "finished_at": 1.0}
    return Job(**{**blank, **made, "result": {"warnings": [], **result}})  # type: ignore[arg-type]


def test_the_desks_values_are_the_options_of_a_mix(settings: Settings) -> None:
    studio = Studio(settings)
    with gr.Blocks():
        controls = build_desk(Context(studio, texts("zh"), gr.Dropdown()))
    as_it_stands = mix_of(controls, tuple(control.value for control in controls.values()))
    assert MixOptions.model_validate(as_it_stands) == MixOptions()
    moved = {("vocals", "level_db"): -3.0, ("reverb",): 0.5, ("accompaniment", "pan"): 1.0}
    values = tuple(moved.get(place, control.value) for place, control in controls.items())
    mix = MixOptions.model_validate(mix_of(controls, values))
    assert (mix.vocals.level_db, mix.reverb, mix.accompaniment.pan) == (-3.0, 0.5, 1.0)
    # Every option of the mix has its control; the ceiling is the studio's own.
    tracks = ("vocals", "accompaniment")
    places: set[tuple[str, ...]] = {(track, name) for track in tracks for name in type(mix.vocals).model_fields}
    places |= {(name,) for name in MixOptions.model_fields if name not in (*tracks, "ceiling_dbtp")}
    assert places == set(controls)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_song_is_heard_in_its_parts(settings: Settings, tmp_path: Path, lang: str) -> None:
    t = texts(lang)
    assert t("song.empty") in song_html(t, settings, None, {})
    inside = write_audio(settings.outputs / "<mix>.wav", band(0.3), RATE_HZ)
    outside = write_audio(tmp_path / "secret.wav", band(0.3), RATE_HZ)
    done = job(output=str(inside), converted=str(inside), vocals=str(outside), accompaniment=str(inside), lufs=-14.2,
               peak_dbtp=None, duration_s=61.0, transpose=-12.0)  # fmt: skip
    html = song_html(t, settings, done, METERS)
    assert "secret" not in html
    assert "<mix>" not in html
    assert html.count("data-source") == 3
    assert t("song.converted") in html
    assert "-14.2 LUFS" in html
    assert "-12" in html
    assert "polyline" in html
    assert 'aria-selected="true"' in songs_table(t, [done], 4)
    assert songs_table(t, [], None) == ""
    inside.unlink()
    assert "ts-problem" in song_html(t, settings, done, METERS)


def test_what_would_stop_a_song_is_said_before_it_is_queued(settings: Settings, tmp_path: Path) -> None:
    studio = Studio(settings)
    song = str(write_audio(tmp_path / "s.wav", band(0.2), RATE_HZ))
    with pytest.raises(BadInput, match="no file"):
        studio.songs.start({"voice": "a", "source": "gone.wav"})
    with pytest.raises(NotFound):
        studio.songs.start({"voice": "a", "source": song})
    voice = studio.create_voice("a")
    with pytest.raises(NotFound, match="no trained model"):
        studio.songs.start({"voice": "a", "source": song})
    (voice.models / "m").mkdir(parents=True)
    (voice.models / "m" / "model.safetensors").write_bytes(b"x")
    (voice.models / "m" / "card.json").write_text('{"preset": "lite"}')
    with pytest.raises(Unavailable, match="separation"):
        studio.songs.start({"voice": "a", "source": song})
    assert studio.songs.separators() == []
    queued = studio.songs.start({"voice": "a", "vocals": song, "accompaniment": song})
    assert (queued.kind, queued.voice) == ("song", "a")
    studio.close()


def test_meters_come_from_the_sidecar_or_not_at_all(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "song.wav.json"
    desk = Studio(settings).songs
    assert desk.meters(path) == {}
    path.write_text(json.dumps({"meters": {"mix": {}}, "meter_s": 0.5, "matched_db": 2}))
    assert desk.meters(path) == {"mix": {}, "meter_s": 0.5, "matched_db": 2}
    path.write_text("[]")
    assert desk.meters(path) == {}
