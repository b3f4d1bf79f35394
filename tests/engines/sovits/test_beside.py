"""The runs of parts beside a voice model: k-means, index, diffusion; each ends as a file that conversion takes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.dataset.voices import Voice
from core.engines.sovits import import_voice
from core.engines.sovits.convert import run_convert
from core.engines.sovits.diffusion.model import DiffusionSizes, Unit2Mel
from core.engines.sovits.diffusion_learner import DiffusionLearner, augmented, mels
from core.engines.sovits.import_place import diffusion_folder
from core.engines.sovits.kmeans_bank import Centres, clusters_for
from core.engines.sovits.recipe import Batch
from core.jobs.context import ForegroundContext
from core.nn.noise import Noise
from core.nn.vocoder_mel import VocoderMel
from core.settings import Settings
from core.training import engines
from core.training.engines import run_train
from core.training.generations import save_tensors
from core.training.runs import open_run
from tests.conftest import save_wav
from tests.training.material import DIM, make_trained_voice, settings_for

TINY = {"layers": 2, "channels": 8, "hidden": 8, "seconds": 0.3, "batch_size": 2, "log_every_steps": 1}


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return settings_for(workspace, monkeypatch)


@pytest.fixture
def voice(settings: Settings) -> Voice:
    return make_trained_voice(settings)


def stopping(settings: Settings, when: str) -> ForegroundContext:
    ctx = ForegroundContext(settings, lambda _, message: message.startswith(when) and ctx.request_cancel())
    return ctx


def test_centres_settle_where_the_units_are() -> None:
    """Four heaps of units: each gets centres near its mean; one that nothing is near to is brought back."""
    generator = torch.Generator().manual_seed(1)
    heaps = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    units = (heaps.repeat(500, 1) + 0.1 * torch.randn(2000, 2, generator=generator)).half()
    found = Centres.start(units, 12, 3)
    found.centres[0] = 1000.0
    losses = [found.step(units, step, 7) for step in range(60)]
    assert losses[-1] < 0.5
    assert losses[-1] < losses[0]
    assert float(found.centres.abs().max()) < 11
    reach = torch.cdist(heaps, found.centres).min(dim=1).values
    assert float(reach.max()) < 0.5
    assert clusters_for(100_000, 0) == 10_000
    assert clusters_for(800, 0) == 100
    assert clusters_for(30, 50) == 30


def test_kmeans_stops_resumes_and_ends_as_if_it_had_not(settings: Settings, voice: Voice) -> None:
    options = {"engine": "sovits-kmeans", "voice": voice.name, "steps": 6, "clusters": 5, "log_every_steps": 1}
    options |= {"save_every_steps": 2}
    stopped = run_train({**options, "name": "a"}, stopping(settings, "step 3/6"))
    assert stopped["stopped"]
    assert 3 <= stopped["step"] < 6
    done = run_train({"resume": "a"}, ForegroundContext(settings))
    file = voice.models / "random" / "kmeans.safetensors"
    resumed = load_file(file)["tester"]
    assert resumed.shape == (5, DIM)
    assert (done["stopped"], done["step"], open_run(settings.runs, "a").read().state) == (False, 6, "completed")
    run_train({**options, "name": "b"}, ForegroundContext(settings))
    assert torch.equal(load_file(file)["tester"], resumed)
    assert [row["step"] for row in open_run(settings.runs, "b").metrics()] == [1, 2, 3, 4, 5, 6]


def test_an_index_holds_every_unit_and_conversion_uses_it(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    done = run_train({"engine": "sovits-index", "voice": voice.name}, ForegroundContext(settings))
    bank = load_file(voice.models / "random" / "retrieval.safetensors")["0"]
    assert bank.dtype == torch.float16
    assert done["probe"]["entries"] == bank.shape[0] > 50
    wav = save_wav(tmp_path / "a.wav", 0.3 * np.sin(np.arange(22050) * 2 * np.pi * 220 / 44100), 44100)
    options = {"voice": voice.name, "source": str(wav), "pitch": "dio", "blend": 1.0, "blend_by": "retrieval"}
    assert Path(run_convert(options, ForegroundContext(settings))["output"]).is_file()
    thinned = {"engine": "sovits-index", "voice": voice.name, "most": 100, "steps": 2}
    run_train(thinned, ForegroundContext(settings))
    assert load_file(voice.models / "random" / "retrieval.safetensors")["0"].shape[0] < 50


def test_diffusion_trains_stops_resumes_and_proves_itself(settings: Settings, voice: Voice) -> None:
    options = {"engine": "sovits-diffusion", "voice": voice.name, "preset": "shallow", "k_step_max": 40, **TINY}
    options |= {"steps": 4, "save_every_steps": 2}
    stopped = run_train({**options, "name": "a"}, stopping(settings, "step 2/4"))
    assert stopped["stopped"]
    done = run_train({"resume": "a"}, ForegroundContext(settings))
    assert (done["stopped"], done["step"]) == (False, 4)
    assert done["probe"]["held_out_loss"] > 0
    assert np.isfinite(done["probe"]["mel_error"])
    folder = voice.models / "random" / "diffusion"
    assert sorted(p.name for p in folder.iterdir()) == ["config.yaml", "model_4.safetensors"]
    resumed = load_file(folder / "model_4.safetensors")
    run_train({**options, "name": "b"}, ForegroundContext(settings))
    for name, tensor in load_file(folder / "model_4.safetensors").items():
        assert torch.equal(tensor, resumed[name]), name


def test_diffusion_starts_from_the_base_model_but_for_its_speakers(settings: Settings, voice: Voice) -> None:
    torch.manual_seed(4)
    base = Unit2Mel(DiffusionSizes(DIM, n_speakers=3, n_layers=2, n_channels=8, n_hidden=8))
    folder = diffusion_folder(settings, DIM)
    folder.mkdir(parents=True)
    save_tensors(folder / "model_0.safetensors", base.state_dict())
    options = {
        "engine": "sovits-diffusion",
        "voice": voice.name,
        **TINY,
        "steps": 1,
        "learning_rate": 1e-9,
        "name": "a",
    }
    run_train(options, ForegroundContext(settings))
    made = load_file(voice.models / "random" / "diffusion" / "model_1.safetensors")
    torch.testing.assert_close(made["unit_embed.weight"], base.unit_embed.weight.detach())
    assert "spk_embed.weight" not in made
    assert any("base model" in note for note in open_run(settings.runs, "a").read().notes)


def batch(n_items: int = 6, frames: int = 40) -> Batch:
    generator = torch.Generator().manual_seed(3)
    audio = 0.1 * torch.randn(n_items, 1, frames * 512, generator=generator)
    return Batch(
        units=torch.randn(n_items, DIM, frames, generator=generator),
        f0_hz=torch.full((n_items, frames), 200.0),
        uv=torch.ones(n_items, frames),
        volume=torch.full((n_items, frames), 0.1),
        audio=audio,
        lengths=torch.tensor([frames] * (n_items - 1) + [frames // 2]),
        sid=torch.zeros(n_items, dtype=torch.long),
    )


def test_augmentation_moves_pitch_loudness_and_mel_together() -> None:
    torch.manual_seed(1)
    before = batch(40)
    after, shift = augmented(before)
    moved = shift != 0
    assert 8 < int(moved.sum()) < 32
    torch.testing.assert_close(after.f0_hz[:, 0], 200.0 * 2 ** (shift / 12))
    gain = after.volume[:, 0] / 0.1
    torch.testing.assert_close(after.audio, before.audio * gain[:, None, None])
    assert bool((gain[~moved] == 1).all())
    assert float(after.audio.abs().max()) <= 1.0
    assert float(shift.abs().max()) <= 5.0
    mel = VocoderMel()
    shown = mels(mel, after.audio[:, 0], shift)
    one = int(moved.nonzero()[0])
    expected = mel(after.audio[one], float(shift[one]))[..., :40].transpose(1, 2)[0]
    torch.testing.assert_close(shown[one], expected)


def test_padding_has_no_part_in_the_loss_of_diffusion() -> None:
    torch.manual_seed(2)
    learner = DiffusionLearner(Unit2Mel(DiffusionSizes(DIM, n_layers=1, n_channels=8, n_hidden=8)), VocoderMel(), 1)
    data, t = batch(1), torch.tensor([50])
    data.lengths[0] = 20
    plain = learner.error(data, torch.zeros(1), Noise(torch.Generator().manual_seed(1)), t)
    data.units[..., 30:] = 100.0
    other = learner.error(data, torch.zeros(1), Noise(torch.Generator().manual_seed(1)), t)
    torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("engine", ["sovits-kmeans", "sovits-index", "sovits-diffusion"])
def test_preflight_says_what_it_is_for_and_what_is_missing(settings: Settings, voice: Voice, engine: str) -> None:
    options = engines.options_of({"engine": engine, "voice": voice.name})
    checks = {check.name: check for check in engines.preflight(settings, options)}
    assert checks["voice model"].verdict == "ok"
    assert "random" in checks["voice model"].detail
    assert checks["disk"].verdict == "ok"
    (voice.models / "random").rename(voice.path / "away")
    checks = {check.name: check for check in engines.preflight(settings, options)}
    assert checks["voice model"].verdict == "fail"
    assert "import" in checks["voice model"].fix


def test_names_of_files_are_those_that_conversion_looks_for() -> None:
    from fnmatch import fnmatch

    from core.engines.sovits.convert_files import BANK_NAMES

    assert any(fnmatch(import_voice.KMEANS_FILE, name) for name in BANK_NAMES["kmeans"])
    assert any(fnmatch(import_voice.INDEX_FILE, name) for name in BANK_NAMES["retrieval"])
