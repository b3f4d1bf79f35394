"""Numbers measured on upstream with the same weights: inference, its parts, and a training pass."""

import pytest
import torch
from torch import Tensor, nn

from core.engines.sovits.losses import f0_loss, kl_loss, mel_loss
from core.engines.sovits.model import prepare_for_inference
from core.nn.masks import cut
from core.nn.noise import NoNoise
from core.nn.spectral import mel_from_spectrogram, mel_spectrogram
from tests.engines.sovits.conftest import SmallGenerator, train_spectrogram

ATOL = 3e-5


def close(ours: Tensor, theirs: Tensor, atol: float = ATOL) -> None:
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=1e-5)


def audio_atol(small: SmallGenerator) -> float:
    """Ten times as much for snakes, whose audio of made-up weights is nine times too loud before the last tanh."""
    return 10 * ATOL if small.config.model.vocoder_name == "nsf-snake-hifigan" else ATOL


def test_the_mean_path_and_its_parts(small: SmallGenerator) -> None:
    model, seen = small.build(), {}

    def watch(module: nn.Module, name: str) -> None:
        module.register_forward_hook(lambda _module, _inputs, output: seen.__setitem__(name, output))

    for name in ("pre", "flow", "dec.m_source", "dec.conv_pre", "dec.conv_post", "enc_p"):
        watch(model.get_submodule(name), name)
    audio, f0 = model.infer(*small.inputs, generator=NoNoise())
    expected = {key.removeprefix("zeronoise.mid."): value for key, value in small.io.items()}
    close(seen["pre"], expected["pre"])
    mean, logs = seen["enc_p"]
    close(mean, expected["enc_p.1"])
    close(logs, expected["enc_p.2"])
    close(seen["flow"], expected["flow"])
    close(seen["dec.m_source"].transpose(1, 2), expected["dec.m_source.0"])
    close(seen["dec.conv_pre"], expected["dec.conv_pre"])
    close(seen["dec.conv_post"], expected["dec.conv_post"], audio_atol(small))
    close(audio, small.io["zeronoise.audio"], audio_atol(small))
    assert torch.equal(f0, small.io["in.f0"])


@pytest.mark.parametrize("prepared", [False, True], ids=["as-trained", "prepared"])
def test_every_way_of_inference(small: SmallGenerator, prepared: bool) -> None:
    model = small.build()
    if prepared:
        prepare_for_inference(model)
    c, f0, uv, sid, vol = small.inputs
    audio, _ = model.infer(c, f0, uv, sid, vol, generator=NoNoise())
    close(audio, small.io["zeronoise.audio"], audio_atol(small))
    audio, _ = model.infer(c, small.io["in.f0_zeroed"], uv, sid, vol, generator=NoNoise())
    close(audio, small.io["zeronoise_f0zeroed.audio"], audio_atol(small))
    audio, predicted = model.infer(c, f0, uv, sid, vol, predict_f0=True, generator=NoNoise())
    close(audio, small.io["zeronoise_predictf0.audio"], audio_atol(small))
    close(predicted, small.io["zeronoise_predictf0.f0"], atol=1e-3)
    audio, _ = model.infer(c, f0, uv, small.io["in.spkmix_weights"], vol, generator=NoNoise())
    close(audio, small.io["zeronoise_spkmix.audio"], audio_atol(small))


def test_the_same_seed_gives_upstreams_audio(small: SmallGenerator) -> None:
    audio, _ = small.build().infer(*small.inputs, generator=torch.Generator().manual_seed(52468))
    close(audio, small.io["seeded52468_ns0.4.audio"], audio_atol(small))


def test_a_training_pass_and_its_losses(small: SmallGenerator) -> None:
    io, spec = small.io, train_spectrogram()
    vol = io["train_in.vol"] if small.config.model.vol_embedding else None
    with torch.no_grad():
        out = small.build()(
            io["train_in.c"],
            io["train_in.f0"],
            io["train_in.uv"],
            spec,
            io["train_in.lengths"],
            io["train_in.sid"],
            vol,
            generator=NoNoise(),
            starts=io["train.ids"],
            f0_scale=torch.ones(2),
        )
    for name in ("z", "z_p", "m_p", "logs_p", "m_q", "logs_q", "lf0"):
        close(getattr(out, name), io[f"train.{name}"])
    close(out.audio, io["train.o"], audio_atol(small))
    close(out.mask, io["train.z_mask"])
    close(out.normal_lf0, io["train.norm_lf0"])
    close(out.predicted_lf0, io["train.pred_lf0"])
    mel = cut(mel_from_spectrogram(spec), out.starts, 20)
    mel_hat = mel_spectrogram(out.audio.squeeze(1))
    close(mel, io["train.y_mel"])
    close(mel_hat, io["train.y_hat_mel"], atol=2e-3)  # a logarithm of small magnitudes
    close(45 * mel_loss(mel_hat, mel), io["train.loss_mel_x45"], atol=1e-3)
    close(kl_loss(out.z_p, out.logs_q, out.m_p, out.logs_p, out.mask), io["train.loss_kl"], atol=1e-2)
    close(f0_loss(out.predicted_lf0, out.lf0), io["train.loss_lf0"])
