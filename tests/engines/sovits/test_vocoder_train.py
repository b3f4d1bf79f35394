"""A vocoder fine-tuned on a voice: it starts from a base, learns, resumes as if it had not stopped, and is used."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.dataset.voices import Voice
from core.engines.sovits import preflight as sovits_preflight
from core.engines.sovits import vocoder_preflight, vocoder_verify
from core.engines.sovits.convert import run_convert
from core.engines.sovits.convert_files import find_vocoder
from core.engines.sovits.dataset import whole_clip
from core.engines.sovits.vocoder import Vocoder, load_decoder, parse_vocoder_config
from core.engines.sovits.vocoder_learner import MARGIN, MEL_WEIGHT, VocoderRecipe
from core.engines.sovits.vocoder_options import VocoderOptions, find_base
from core.errors import BadInput, Conflict, NotFound, StudioError, Unavailable
from core.jobs.context import ForegroundContext
from core.models.safe_load import load_checkpoint
from core.nn.noise import NoNoise
from core.nn.weight_norm import fold_weight_norm, split_weight_norm
from core.settings import Settings
from core.training import engines
from core.training.engines import run_train
from core.training.proof import BadRender
from core.training.runs import open_run
from tests.conftest import save_wav
from tests.training.material import (
    make_examples,
    make_trained_voice,
    settings_for,
)

TINY: dict[str, Any] = {
    "resblock": "1",
    "num_mels": 20,
    "upsample_rates": [8, 8, 8],
    "upsample_kernel_sizes": [16, 16, 16],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "sampling_rate": 44100,
    "n_fft": 2048,
    "win_size": 2048,
    "hop_size": 512,
    "fmin": 40,
    "fmax": 16000,
    "discriminator_periods": [3],
}
RUN = {"engine": "vocoder", "steps": 4, "batch_size": 2, "segment_frames": 8, "judge_channels": 64, "probes": 1}
RUN |= {"save_every_steps": 2, "log_every_steps": 1}


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_for(workspace, monkeypatch)


@pytest.fixture
def voice(settings: Settings) -> Voice:
    return make_trained_voice(settings)


def write_base(folder: Path, folded: bool = False, **changed: Any) -> Path:
    """A vocoder with fresh weights in the form of the released files."""
    torch.manual_seed(1)
    vocoder = Vocoder(parse_vocoder_config({**TINY, **changed}))
    if folded:
        fold_weight_norm(vocoder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**TINY, **changed, "batch_size": 10}))
    torch.save({"generator": vocoder.decoder.state_dict()}, folder / "model")
    return folder


def stopping(settings: Settings, when: str) -> ForegroundContext:
    def heard(_share: float, message: str) -> None:
        if message.startswith(when):
            ctx.request_cancel()

    ctx = ForegroundContext(settings, heard)
    return ctx


def test_it_learns_stops_resumes_to_the_bit_and_conversion_uses_it(
    settings: Settings, voice: Voice, tmp_path: Path
) -> None:
    base = write_base(tmp_path / "base", folded=True)
    options = {**RUN, "voice": voice.name, "base": str(base)}
    stopped = run_train({**options, "name": "a"}, stopping(settings, "step 2/4"))
    assert stopped["stopped"]
    assert stopped["step"] < 4
    (tmp_path / "base").rename(tmp_path / "away")  # a run that has saved needs its base no more
    done = run_train({"resume": "a"}, ForegroundContext(settings))
    assert (done["stopped"], done["step"], open_run(settings.runs, "a").read().state) == (False, 4, "completed")
    assert done["probe"]["held_out_mel"] > 0
    assert done["probe"]["rms_db"] > -60
    folder = voice.models / "random"
    resumed = load_file(folder / "vocoder" / "model.safetensors")
    assert json.loads((folder / "vocoder" / "config.json").read_text())["batch_size"] == 10, "the base's own, whole"

    (tmp_path / "away").rename(base)
    run_train({**options, "name": "b"}, ForegroundContext(settings))
    whole = load_file(folder / "vocoder" / "model.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    info = open_run(settings.runs, "b").read()
    assert any(f"Starts from {base / 'model'}" in note for note in info.notes)
    rows = open_run(settings.runs, "b").metrics()
    assert {"loss/d/total", "loss/g/total", "loss/g/mel", "loss/g/fm", "loss/g/adv"} <= set(rows[0])
    assert any("probe/mel" in row for row in rows)

    assert find_vocoder(None, folder, settings) == folder / "vocoder" / "model.safetensors"
    wav = save_wav(tmp_path / "a.wav", 0.3 * np.sin(np.arange(22050) * 2 * np.pi * 220 / 44100), 44100)
    convert = {"voice": voice.name, "source": str(wav), "pitch": "dio", "enhance": True}
    assert Path(run_convert(convert, ForegroundContext(settings))["output"]).is_file()


@pytest.mark.parametrize("folded", [False, True])
def test_the_base_is_loaded_whole_and_every_weight_of_it_learns(tmp_path: Path, folded: bool) -> None:
    base = write_base(tmp_path / "base", folded)
    recipe = VocoderRecipe(Vocoder(parse_vocoder_config(TINY)), 8, 64)
    load_decoder(recipe.vocoder, base / "model")
    split_weight_norm(recipe.generator)
    torch.manual_seed(1)
    fresh = Vocoder(parse_vocoder_config(TINY)).decoder
    assert recipe.generator.state_dict().keys() == fresh.state_dict().keys()
    mel, f0 = torch.randn(1, 20, 6) - 5, torch.full((1, 6), 200.0)
    torch.testing.assert_close(recipe.generator(mel, f0, None, NoNoise()), fresh(mel, f0, None, NoNoise()))
    assert all(p.requires_grad for p in fresh.parameters())
    names = {name for name, p in recipe.generator.named_parameters() if p.requires_grad}
    assert names == {name for name, _ in fresh.named_parameters()}


def test_a_segment_is_what_the_whole_recording_shows_there(tmp_path: Path) -> None:
    """Mel, pitch and target between the margins belong together, and the mel is that of the uncut clip."""
    clip = whole_clip(make_examples(tmp_path, n_clips=1, seconds=0.8)[0], "nearest")
    recipe = VocoderRecipe(Vocoder(parse_vocoder_config(TINY)), 8, 64)
    start, n = 20, recipe.segments().n_frames
    assert n == 8 + 2 * MARGIN
    cut = replace(
        clip,
        units=clip.units[..., start : start + n],
        f0_hz=clip.f0_hz[:, start : start + n],
        audio=clip.audio[..., start * 512 : (start + n) * 512],
    )
    ready = recipe.prepare_batch(cut)
    inner = slice(start + MARGIN, start + MARGIN + 8)
    torch.testing.assert_close(ready.extra["mel"], recipe.vocoder.mel(clip.audio[:, 0])[..., inner])
    outputs = recipe.forward(ready, 0)
    assert outputs["audio"].shape == outputs["target"].shape == (1, 1, 8 * 512)
    assert torch.equal(outputs["target"], clip.audio[..., inner.start * 512 : inner.stop * 512])


def test_losses_are_those_of_the_paper(tmp_path: Path) -> None:
    """Nothing but the judges' opinion is to pay for the recording itself; the mel counts 45 times, up to 22 kHz."""
    torch.manual_seed(2)
    recipe = VocoderRecipe(Vocoder(parse_vocoder_config(TINY)), 8, 64)
    clip = whole_clip(make_examples(tmp_path, n_clips=1, seconds=0.8)[0], "nearest")
    target = clip.audio[..., : 8 * 512]
    same = recipe.generator_losses(clip, {"audio": target, "target": target}, 0)
    assert float(same.parts["mel"]) == float(same.parts["fm"]) == 0.0
    logits, _ = recipe.judge(target)
    torch.testing.assert_close(same.total, sum((1 - one).square().mean() for one in logits))
    judged = recipe.discriminator_losses(clip, {"audio": target, "target": target}, 0).total
    torch.testing.assert_close(judged, sum((1 - x).square().mean() + x.square().mean() for x in logits))
    hiss = 0.05 * torch.sin(2 * torch.pi * 19_000 / 44_100 * torch.arange(8 * 512))
    other = recipe.generator_losses(clip, {"audio": target + hiss, "target": target}, 0)
    distance = recipe.mel_distance(target + hiss, target)
    assert float(distance) > 0.01, "19 kHz lies above the mel that it hears, and is heard by the loss"
    torch.testing.assert_close(other.parts["mel"], MEL_WEIGHT * distance)
    torch.testing.assert_close(sum(other.parts.values()), other.total.detach())


def test_steps_bring_the_sound_nearer_to_the_voice(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    options = {**RUN, "steps": 12, "save_every_steps": 12, "learning_rate": 3e-3, "voice": voice.name}
    done = run_train({**options, "base": str(base), "name": "a"}, ForegroundContext(settings))
    note = next(note for note in open_run(settings.runs, "a").read().notes if note.startswith("Starts from"))
    before = float(note.split("which is ")[1].split(" ")[0])
    assert done["probe"]["held_out_mel"] < 0.9 * before


def test_a_base_is_found_by_file_folder_name_or_in_the_studio(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="NSF-HiFi-GAN"):
        find_base(settings, "")
    own = write_base(settings.pretrain_dir / "nsf_hifigan") / "model"
    other = write_base(settings.pretrain_dir / "nsf_2024") / "model"
    assert find_base(settings, "") == own
    assert find_base(settings, str(other)) == find_base(settings, str(other.parent)) == other
    assert find_base(settings, "nsf_2024") == other
    with pytest.raises(NotFound, match="no vocoder"):
        find_base(settings, str(tmp_path))
    (other.parent / "config.json").unlink()
    with pytest.raises(NotFound, match="config"):
        find_base(settings, "nsf_2024")


def test_preflight_says_what_is_missing_and_what_it_takes(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    def checks(**more: Any) -> Any:
        options = engines.options_of({**RUN, "voice": voice.name, **more})
        return {check.name: check for check in engines.preflight(settings, options)}

    found = checks(base=str(write_base(tmp_path / "base")))
    assert {found[name].verdict for name in ("base model", "voice model", "disk", "clips")} == {"ok"}
    assert "memory" in found
    assert "GPU" in found["device"].fix
    assert checks()["base model"].verdict == "fail"
    assert checks(base=str(tmp_path / "away"))["base model"].verdict == "fail"
    (voice.models / "random").rename(voice.path / "away")
    assert checks()["voice model"].verdict == "fail"
    with pytest.raises(BadInput, match="init_from is not used here"):
        checks(init_from="G_0.pth")


def test_what_a_run_takes_grows_with_its_batch_and_its_judges() -> None:
    full, small = VocoderOptions(voice="v"), VocoderOptions(voice="v", judge_channels=256)
    assert vocoder_preflight.generation_bytes(full) == pytest.approx(12 * (14_178_956 + 63_189_440), rel=0.01)
    assert vocoder_preflight.generation_bytes(small) < vocoder_preflight.generation_bytes(full) / 4
    per_item = vocoder_preflight.memory_bytes(full, 2) - vocoder_preflight.memory_bytes(full, 1)
    assert per_item == pytest.approx(32 * 8.45e6 * sovits_preflight.PASSING)


def test_a_base_of_another_rate_and_one_that_is_damaged_are_refused(
    settings: Settings, voice: Voice, tmp_path: Path
) -> None:
    options = {**RUN, "voice": voice.name}
    slow = write_base(tmp_path / "slow", sampling_rate=24000, fmax=12000)
    with pytest.raises(Conflict, match="24000 Hz"):
        run_train({**options, "base": str(slow), "name": "a"}, ForegroundContext(settings))
    broken = write_base(tmp_path / "broken")
    (broken / "model").write_bytes((broken / "model").read_bytes()[:2000])
    with pytest.raises(StudioError, match="model"):
        run_train({**options, "base": str(broken), "name": "b"}, ForegroundContext(settings))
    assert open_run(settings.runs, "b").read().state == "failed"
    assert not (voice.models / "random" / "vocoder").exists()


def test_a_silent_vocoder_is_no_success(tmp_path: Path) -> None:
    example = make_examples(tmp_path, n_clips=1, seconds=0.6)[0]
    base = write_base(tmp_path / "base")
    assert vocoder_verify.verify(base, example.audio, example.features)["peak"] > 0
    tensors = load_checkpoint(base / "model")
    tensors["generator"]["conv_post.weight_g"].zero_()
    tensors["generator"]["conv_post.bias"].zero_()
    torch.save(tensors, base / "model")
    with pytest.raises(BadRender, match="silence"):
        vocoder_verify.verify(base, example.audio, example.features)
