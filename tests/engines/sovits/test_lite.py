"""The lite generator: its excitation, its transform, its interface and that it learns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.sovits.lite import HOP, LiteGenerator, Spectral, impulse_train
from core.engines.sovits.lite_recipe import LiteRecipe, stft_losses
from core.engines.sovits.presets import preset
from core.engines.sovits.recipe import Batch
from core.training.options import TrainOptions

RATE_HZ = 44100
CONTENT = 12


@pytest.fixture
def config():
    small = preset("lite", encoder="builtin", encoder_dim=CONTENT, speakers=["a", "b"])
    sizes = {"hidden_channels": 16, "n_layers": 2, "gin_channels": 8}
    return small.model_copy(update={"model": small.model.model_copy(update=sizes)})


@pytest.fixture
def generator(config):
    torch.manual_seed(0)
    return LiteGenerator(config).eval()


def inputs(batch=2, frames=30):
    return {
        "c": torch.randn(batch, CONTENT, frames),
        "f0": torch.full((batch, frames), 220.0),
        "uv": torch.ones(batch, frames),
        "sid": torch.zeros(batch, dtype=torch.long),
        "vol": torch.full((batch, frames), 0.1),
    }


@given(f0_hz=st.floats(60.0, 900.0))
@settings(max_examples=20, deadline=None)
def test_impulse_train_has_unit_power_and_the_pitch(f0_hz):
    frames = 60
    audio = impulse_train(torch.full((1, frames), f0_hz), torch.ones(1, frames), RATE_HZ)[0]
    assert audio.shape == (frames * HOP,)
    assert audio.square().mean().item() == pytest.approx(1.0, rel=0.05)
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio))).abs()
    bin_hz = RATE_HZ / len(audio)
    window = slice(int(0.5 * f0_hz / bin_hz), int(1.5 * f0_hz / bin_hz) + 1)
    peak_hz = (spectrum[window].argmax().item() + window.start) * bin_hz
    assert peak_hz == pytest.approx(f0_hz, abs=1.5 * bin_hz)


def test_impulse_train_does_not_alias():
    # 5 kHz: the harmonics are 5, 10, 15 and 20 kHz; a naive pulse train folds others in between
    frames = 40
    audio = impulse_train(torch.full((1, frames), 5000.0), torch.ones(1, frames), RATE_HZ)[0]
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio))).abs()
    hz = torch.arange(len(spectrum)) * RATE_HZ / len(audio)
    near = ((hz / 5000 - (hz / 5000).round()).abs() * 5000) < 20
    assert spectrum[~near].max() < 1e-3 * spectrum.max()


def test_unvoiced_frames_carry_no_impulses():
    uv = torch.ones(1, 40)
    uv[:, 10:30] = 0
    audio = impulse_train(torch.full((1, 40), 200.0), uv, RATE_HZ)[0]
    assert audio[12 * HOP : 28 * HOP].abs().max() == 0
    assert audio[: 8 * HOP].abs().max() > 1


@given(frames=st.integers(1, 12))
@settings(max_examples=12, deadline=None)
def test_transform_and_its_inverse_give_the_signal_back(frames):
    spectral = Spectral()
    audio = torch.randn(2, frames * HOP, generator=torch.Generator().manual_seed(frames))
    assert torch.allclose(spectral.synthesise(spectral.analyse(audio)), audio, atol=1e-4)


def test_infer_gives_512_samples_a_frame_and_repeats(generator):
    given_inputs = inputs()
    first, f0 = generator.infer(**given_inputs, generator=torch.Generator().manual_seed(1))
    again, _ = generator.infer(**given_inputs, generator=torch.Generator().manual_seed(1))
    other, _ = generator.infer(**given_inputs, generator=torch.Generator().manual_seed(2))
    assert first.shape == (2, 1, 30 * HOP)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(f0, given_inputs["f0"])


def test_speaker_weights_of_one_hot_equal_the_speaker_id(generator):
    given_inputs = inputs()
    as_id = {**given_inputs, "sid": torch.tensor([1, 1])}
    by_id, _ = generator.infer(**as_id, generator=torch.Generator().manual_seed(1))
    weights = torch.zeros(2, 30, 2)
    weights[..., 1] = 1
    by_weight, _ = generator.infer(**{**given_inputs, "sid": weights}, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(by_id, by_weight, atol=1e-6)


def test_level_follows_the_volume_far_outside_training(generator):
    given_inputs = inputs()
    loud, _ = generator.infer(**given_inputs, generator=torch.Generator().manual_seed(1))
    soft, _ = generator.infer(
        **{**given_inputs, "vol": torch.full((2, 30), 0.001)}, generator=torch.Generator().manual_seed(1)
    )
    assert 0.001 < (soft.std() / loud.std()).item() < 0.1


def test_infer_says_what_it_cannot_do(generator):
    with pytest.raises(ValueError, match="volume"):
        generator.infer(**{**inputs(), "vol": None})
    with pytest.raises(ValueError, match="pitch"):
        generator.infer(**inputs(), predict_f0=True)


def test_stft_loss_is_zero_for_the_same_audio_and_grows_with_distance():
    audio = 0.1 * torch.randn(2, 40 * HOP, generator=torch.Generator().manual_seed(0))
    noise = 0.1 * torch.randn(2, 40 * HOP, generator=torch.Generator().manual_seed(1))
    assert stft_losses(audio, audio).item() == pytest.approx(0.0, abs=1e-6)
    assert stft_losses(audio + 0.1 * noise, audio) < stft_losses(audio + noise, audio)


def batch_of(frames=32, count=3):
    torch.manual_seed(3)
    vol = torch.full((count, frames), 0.1)
    time_s = torch.arange(frames * HOP) / RATE_HZ
    tone = 0.1 * torch.sin(2 * torch.pi * 220 * time_s).expand(count, 1, -1).clone()
    lengths = torch.tensor([frames, frames, frames // 2])
    return Batch(
        units=torch.randn(count, CONTENT, frames),
        f0_hz=torch.full((count, frames), 220.0),
        uv=torch.ones(count, frames),
        volume=vol,
        audio=tone,
        lengths=lengths,
        sid=torch.zeros(count, dtype=torch.long),
    )


def test_recipe_learns_a_tone_and_brings_in_the_discriminator_late(config):
    torch.manual_seed(0)
    recipe = LiteRecipe(config, TrainOptions(voice="a", steps=100, adversarial_from_step=30))
    optimiser = torch.optim.AdamW(recipe.generator.parameters(), 3e-3)
    totals = []
    for step in range(30):
        batch = recipe.prepare_batch(batch_of())
        outputs = recipe.forward(batch, step)
        assert recipe.discriminator_losses(batch, outputs, step) is None
        losses = recipe.generator_losses(batch, outputs, step)
        assert set(losses.parts) == {"mrstft", "mel"}
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        totals.append(losses.total.item())
    assert sum(totals[-5:]) < 0.7 * sum(totals[:5])

    batch = recipe.prepare_batch(batch_of())
    outputs = recipe.forward(batch, 30)
    judged = recipe.discriminator_losses(batch, outputs, 30)
    assert judged is not None
    assert judged.total.requires_grad
    losses = recipe.generator_losses(batch, outputs, 30)
    assert {"adv", "fm"} <= set(losses.parts)
    losses.total.backward()
    assert all(p.grad is not None for p in recipe.generator.head.parameters())


def test_padding_teaches_nothing(config):
    recipe = LiteRecipe(config, TrainOptions(voice="a", steps=10))
    outputs = recipe.forward(recipe.prepare_batch(batch_of()), 0)
    assert outputs["audio"][2, 0, 16 * HOP :].abs().max() == 0
    assert outputs["target"][2, 0, 16 * HOP :].abs().max() == 0


def test_learning_rate_warms_up_and_falls_to_a_tenth(config):
    recipe = LiteRecipe(config, TrainOptions(voice="a", steps=1000))
    factors = [recipe.learning_rate_factor(step, 10) for step in (0, 199, 999)]
    assert factors[0] < 0.01
    assert factors[1] > 0.9
    assert factors[2] == pytest.approx(0.1, abs=0.01)
