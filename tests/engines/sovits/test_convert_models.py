"""Every option of a conversion with real tiny models: what it changes, that it repeats, what it says when it cannot."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.audio.encode import read_wav
from core.dataset.voices import Voice, VoiceStore
from core.engines.sovits.convert import options_from_sidecar, run_convert
from core.engines.sovits.mix_curves import write_mix
from core.engines.sovits.pitch_track import HOP_S, write_track
from core.errors import BadInput, Conflict, ModelFileError, NotFound, Unavailable
from core.features import pitch
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from tests.engines.sovits import convert_material as material
from tests.training.material import export_random, register_encoder, sung_vowel, write_clip

RATE_HZ = 44100
SHALLOW = {"diffusion": "shallow", "k_step": 300, "speedup": 60}


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    fresh = {"workspace": workspace, "pretrain_dir": workspace / "pretrain", "device": "cpu", "threads": 1}
    return load_settings(fresh, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    made = VoiceStore(settings.voices_dir).create("duo")
    material.duet(made)
    return made


@pytest.fixture
def model(voice: Voice) -> Path:
    return voice.models / "duet"


class Converter:
    """`convert(**options)` gives the audio; the last result and sidecar stay at hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.source = write_clip(settings.workspace / "s.wav", sung_vowel(0.8, 200))
        self.result: dict[str, Any] = {}

    def __call__(self, **more: Any) -> np.ndarray:
        params = {"voice": "duo", "source": str(self.source), "pitch": "dio", "pad_s": 0, **more}
        self.result = run_convert(params, ForegroundContext(self.settings))
        audio, _ = read_wav(self.result["output"])
        assert audio.size == read_wav(self.source)[0].size
        assert audio.any()
        return audio

    @property
    def sidecar(self) -> dict[str, Any]:
        return json.loads(Path(self.result["sidecar"]).read_text("utf-8"))

    def again(self) -> bytes:
        """The file that the sidecar makes."""
        made = run_convert(options_from_sidecar(Path(self.result["sidecar"])), ForegroundContext(self.settings))
        return Path(made["output"]).read_bytes()


@pytest.fixture
def convert(settings: Settings, voice: Voice) -> Converter:
    return Converter(settings)


def differ(one: np.ndarray, other: np.ndarray, least: float = 1e-3) -> bool:
    return float(np.abs(one - other).max()) > least


# ---- blending


@pytest.mark.parametrize("by", ["kmeans", "retrieval"])
def test_content_is_blended_by_the_file_beside_the_model(convert: Converter, model: Path, by: str) -> None:
    material.banks(model)
    plain = convert()
    assert "blend_file" not in convert.sidecar["files"]
    half, whole = (convert(blend=share, blend_by=by) for share in (0.5, 1.0))
    assert differ(half, plain)
    assert differ(whole, half)
    assert differ(whole, convert(blend=1.0, blend_by=by, speaker="Bo"))
    assert list(convert.sidecar["files"]) == ["blend_file"]
    assert convert.again() == Path(convert.result["output"]).read_bytes()
    bank = Path(convert.sidecar["options"]["blend_file"])
    bank.write_bytes(bank.read_bytes() + b"x")
    with pytest.raises(Conflict, match="blend file"):
        convert.again()


def test_a_bank_that_does_not_fit_is_named(convert: Converter, model: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no kmeans file") as missing:
        convert(blend=0.5)
    assert "kmeans_10000.pt" in missing.value.hint
    with pytest.raises(NotFound, match="no retrieval file"):
        convert(blend=0.5, blend_by="retrieval")
    for content, words in [
        ({"Ann": {"cluster_centers_": torch.zeros(3, 7).numpy()}}, "24 wide"),
        (
            {"Cy": {"cluster_centers_": torch.zeros(3, 24).numpy()}, "Di": {"cluster_centers_": torch.ones(3, 24)}},
            "Ann",
        ),
        ({"Ann": {"cluster_centers_": torch.full((3, 24), torch.nan).numpy()}}, "not numbers"),
        ({"step": 3}, "no k-means"),
    ]:
        torch.save(content, model / "kmeans_1.pt")
        with pytest.raises(ModelFileError, match=words):
            convert(blend=0.5)
    (tmp_path / "feature_and_index.pkl").write_bytes(b"x")
    with pytest.raises(ModelFileError, match="Convert it"):
        convert(blend=0.5, blend_by="retrieval", blend_file=str(tmp_path / "feature_and_index.pkl"))


# ---- diffusion and the enhancer


def test_shallow_diffusion_by_every_sampler(convert: Converter, settings: Settings, model: Path) -> None:
    material.diffusion(model)
    material.vocoder(settings.pretrain_dir / "nsf_hifigan")
    made = {"off": convert()}
    for sampler in ("naive", "ddim", "pndm", "dpm-solver", "dpm-solver++", "unipc"):
        made[sampler] = convert(**SHALLOW, sampler=sampler)
    names = list(made)
    assert not [(a, b) for i, a in enumerate(names) for b in names[:i] if not differ(made[a], made[b], 1e-4)]
    assert set(convert.sidecar["files"]) == {"diffusion_model", "diffusion_config", "vocoder"}
    assert convert.again() == Path(convert.result["output"]).read_bytes()
    assert differ(made["unipc"], convert(**SHALLOW, sampler="unipc", second_encoding=True))
    assert differ(made["unipc"], convert(**{**SHALLOW, "k_step": 100}, sampler="unipc"))
    # What is not said comes from the model's own config.
    assert np.array_equal(
        convert(diffusion="shallow"), convert(diffusion="shallow", sampler="dpm-solver++", speedup=50)
    )


def test_only_diffusion_leaves_the_voice_model_out(convert: Converter, settings: Settings, model: Path) -> None:
    material.diffusion(model)
    material.vocoder(model / "vocoder")  # a fine-tuned one beside the model needs no catalogue
    one = convert(diffusion="only", noise_scale=0.0)
    assert np.array_equal(one, convert(diffusion="only", noise_scale=2.0))
    assert differ(one, convert(diffusion="only", speaker="Bo"))
    assert differ(one, convert(**SHALLOW))


def test_the_enhancer_and_its_key(convert: Converter, settings: Settings) -> None:
    material.vocoder(settings.pretrain_dir / "nsf_hifigan")
    plain, enhanced, keyed = convert(), convert(enhance=True), convert(enhance=True, enhancer_key=4)
    assert differ(plain, enhanced)
    assert differ(enhanced, keyed)


def test_what_diffusion_lacks_is_said(convert: Converter, settings: Settings, model: Path) -> None:
    with pytest.raises(NotFound, match="no diffusion model") as missing:
        convert(**SHALLOW)
    assert "model_*.pt and config.yaml" in missing.value.hint
    assert str(model / "diffusion") in missing.value.hint
    file = material.diffusion(model, k_step_max=60)
    for options in ({**SHALLOW}, {"enhance": True}):
        with pytest.raises(Unavailable, match="NSF-HiFi-GAN") as missing_vocoder:
            convert(**options)
        assert "pretrain/nsf_hifigan" in missing_vocoder.value.hint
    material.vocoder(settings.pretrain_dir / "nsf_hifigan")
    for options, words in [
        ({"diffusion": "shallow", "k_step": 61}, "trained for 1 to 60"),
        ({"diffusion": "only"}, "cannot start from noise"),
        ({"diffusion": "shallow", "k_step": 10, "speedup": 11}, "speed-up"),
        ({"diffusion": "shallow", "sampler": "euler"}, "sampler"),
        ({"diffusion": "shallow", "enhance": True}, "do not go together"),
        ({"second_encoding": True}, "second_encoding"),
        ({"diffusion": "only", "predict_f0": True}, "predict_f0"),
    ]:
        with pytest.raises(BadInput, match=words):
            convert(**options)
    (model / "diffusion" / "config.yaml").write_text("infer: !!python/object:os.system {}")
    with pytest.raises(BadInput, match="no diffusion config"):
        convert(**SHALLOW)
    (model / "diffusion" / "config.yaml").unlink()
    with pytest.raises(NotFound, match=r"config\.yaml"):
        convert(**SHALLOW)
    material.diffusion(model)
    material.diffusion(model, n_units=9)
    with pytest.raises(Conflict, match="units of 9"):
        convert(**SHALLOW)
    file.write_bytes((model / "model.safetensors").read_bytes()[:100])
    with pytest.raises(ModelFileError):
        convert(**SHALLOW)


def test_a_diffusion_model_of_fewer_speakers_is_refused(convert: Converter, voice: Voice) -> None:
    folder = material.duet(voice, name="four", n_speakers=4)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "spk": {"Ann": 0, "Di": 3}}))
    material.diffusion(folder, n_speakers=2)
    material.vocoder(folder / "vocoder")
    with pytest.raises(Conflict, match="knows 2 speakers, the voice model 4"):
        convert(model="four", **SHALLOW)


# ---- speakers


def test_mixing_speakers(convert: Converter, voice: Voice, tmp_path: Path) -> None:
    ann, bo = convert(speaker="Ann"), convert(speaker="Bo")
    assert differ(ann, bo)
    assert np.abs(convert(speaker_mix={"Ann": 3.0, "Bo": 0.0}) - ann).max() < 1e-4
    half = convert(speaker_mix={"Ann": 1, "Bo": 1})
    assert differ(half, ann)
    assert differ(half, bo)
    slide = write_mix(tmp_path / "mix.json", {"Ann": [(0.45, 1), (0.55, 0)], "Bo": [(0.45, 0), (0.55, 1)]})
    moving = convert(speaker_mix=str(slide), noise_scale=0)
    ann, bo = convert(speaker="Ann", noise_scale=0), convert(speaker="Bo", noise_scale=0)
    ends = slice(0, RATE_HZ // 8), slice(-RATE_HZ // 8, None)
    for part, near, far in ((ends[0], ann, bo), (ends[1], bo, ann)):
        assert np.abs(moving[part] - near[part]).mean() < 0.5 * np.abs(moving[part] - far[part]).mean()
    old = tmp_path / "spkmix.py"
    old.write_text("spk_mix_map = {1: [[0, 1, 1, 1]], 0: [[0, 1, 0, 0]]}\n")
    assert np.abs(convert(speaker_mix=str(old), noise_scale=0) - bo).max() < 1e-4
    assert convert.again() == Path(convert.result["output"]).read_bytes()
    with pytest.raises(BadInput, match="Cy"):
        convert(speaker_mix={"Cy": 1})
    with pytest.raises(NotFound, match="speaker shares"):
        convert(speaker_mix="gone.json")


def test_mixing_leaves_blending_out_and_says_so(convert: Converter, model: Path) -> None:
    material.banks(model)
    mixed = convert(speaker_mix={"Ann": 1, "Bo": 2})
    assert np.array_equal(mixed, convert(speaker_mix={"Ann": 1, "Bo": 2}, blend=0.7))
    assert "not blended" in convert.result["warnings"][0]


def test_mixing_reaches_the_diffusion_model(convert: Converter, settings: Settings, model: Path) -> None:
    material.diffusion(model)
    material.vocoder(settings.pretrain_dir / "nsf_hifigan")
    bo = convert(diffusion="only", speaker="Bo")
    assert np.abs(convert(diffusion="only", speaker_mix={"Bo": 1.0}) - bo).max() < 1e-4


# ---- pitch


def test_a_drawn_pitch_is_what_is_sung(settings: Settings, convert: Converter, voice: Voice, tmp_path: Path) -> None:
    export_random(voice, "lite", name="lite")
    flat = np.full(round(0.8 / HOP_S), 300.0, np.float32)
    audio = convert(model="lite", f0_file=str(write_track(tmp_path / "flat.npy", flat)))
    f0 = pitch.create("pm").predict(audio, RATE_HZ, 512, audio.size // 512)
    assert np.median(f0[f0 > 0]) == pytest.approx(300, rel=0.02)
    assert convert.sidecar["slices"][0]["f0_median"] == 300
    assert convert.again() == Path(convert.result["output"]).read_bytes()
    silent = write_track(tmp_path / "none.npy", np.zeros(5, np.float32))
    convert(model="lite", f0_file=str(silent))
    assert all(row.get("f0_median") is None for row in convert.sidecar["slices"])
    assert "lasts 0.1 s" in convert.result["warnings"][0]
    with pytest.raises(NotFound, match="pitch file"):
        convert(f0_file="gone.npy")


def test_the_threshold_reaches_the_predictor(convert: Converter) -> None:
    convert(pitch="fcpe")
    assert convert.sidecar["slices"][0]["f0_median"]
    convert(pitch="fcpe", f0_threshold=1.0)
    assert convert.sidecar["slices"][0]["f0_median"] is None


def test_a_predictor_without_its_weights_says_where_they_go(convert: Converter) -> None:
    with pytest.raises(Unavailable, match="rmvpe") as missing:
        convert(pitch="rmvpe")
    assert "pretrain/rmvpe" in missing.value.hint


def test_automatic_pitch_needs_a_model_that_has_it(convert: Converter, voice: Voice) -> None:
    assert differ(convert(), convert(predict_f0=True))
    material.duet(voice, name="plain", use_automatic_f0_prediction=False)
    export_random(voice, "lite", name="lite")
    for name in ("plain", "lite"):
        with pytest.raises(BadInput, match="melody of its own"):
            convert(model=name, predict_f0=True)


# ---- cutting


def test_forced_clips_are_joined_without_a_click(convert: Converter, voice: Voice) -> None:
    export_random(voice, "lite", name="lite")
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    convert.source = write_clip(convert.source, 0.3 * np.sin(2 * np.pi * 200 * t))
    whole = convert(model="lite")
    assert len(convert.sidecar["slices"]) == 1
    audio = convert(model="lite", clip_s=1.0, crossfade_s=0.4, crossfade_keep=0.5)
    borders = [row["end_s"] for row in convert.sidecar["slices"]]
    assert borders == pytest.approx([0.8, 1.8, 3.0], abs=1e-3)
    jerk, usual = np.abs(np.diff(audio, 2)), np.abs(np.diff(whole, 2))
    inner = slice(RATE_HZ // 10, -RATE_HZ // 10)
    assert jerk[inner].max() <= 1.3 * usual[inner].max()
    with pytest.raises(BadInput, match="crossfade_s"):
        convert(clip_s=1.0, crossfade_s=1.0)
