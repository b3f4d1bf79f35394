"""The built-in encoder that ships: shapes, windows, level, odd input, the file itself."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from core.errors import ModelFileError
from core.features.encoders import builtin
from core.features.encoders.builtin import (
    BuiltinEncoder,
    LocalAttention,
    UnitNet,
    dequantise,
    mel_bank,
    power_spectrum,
    quantise,
)

FILE = Path(__file__).resolve().parents[2] / "pretrain" / "builtin" / "encoder.safetensors"


@pytest.fixture(scope="module")
def encoder() -> BuiltinEncoder:
    return BuiltinEncoder(FILE)


def vowels(seconds: float, f0_hz: float = 120.0, seed: int = 0) -> torch.Tensor:
    """A voiced sound whose two formants wander, with pauses: speech enough to move the units."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 16000)
    t = np.arange(n) / 16000
    knots = np.arange(0, seconds + 0.2, 0.15)
    f1 = np.interp(t, knots, rng.uniform(250, 850, len(knots)))
    f2 = np.interp(t, knots, rng.uniform(900, 2500, len(knots)))
    wave = np.zeros(n)
    for k in range(1, int(4000 / f0_hz)):
        f = k * f0_hz
        gain = 1 / (1 + ((f - f1) / 90) ** 2) + 0.6 / (1 + ((f - f2) / 130) ** 2)
        wave += gain * np.sin(2 * np.pi * f * t + rng.uniform(0, 6))
    loud = np.interp(t, knots, rng.choice([0.05, 1.0], len(knots)))
    wave = wave * loud + rng.normal(size=n) * 0.002
    return torch.from_numpy((0.2 * wave / np.abs(wave).max()).astype(np.float32))


def test_shape_dtype_and_norm(encoder: BuiltinEncoder) -> None:
    units = encoder.encode(vowels(2.0))
    assert (encoder.name, encoder.dim, encoder.rate_hz, encoder.sample_rate_hz) == ("builtin", 256, 50.0, 16000)
    assert units.shape == (100, 256)
    assert units.dtype == torch.float32
    assert units.device.type == "cpu"
    torch.testing.assert_close(units.square().sum(1), torch.full((100,), 256.0), rtol=1e-4, atol=0)
    assert units.argmax(1).unique().numel() >= 10, "moving formants must move the units"


@given(n=st.integers(0, 4000))
@settings(max_examples=25)
def test_frame_count_is_samples_over_320(encoder: BuiltinEncoder, n: int) -> None:
    assert encoder.encode(torch.randn(n) * 0.1).shape == (n // 320, 256)


@pytest.mark.parametrize("n_samples", [0, 1, 100, 319])
def test_less_than_one_frame_is_empty(encoder: BuiltinEncoder, n_samples: int) -> None:
    assert encoder.encode(torch.ones(n_samples)).shape == (0, 256)


def test_windows_equal_one_shot(encoder: BuiltinEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = vowels(11.37)
    whole = encoder.encode(wav)
    monkeypatch.setattr(builtin, "WINDOW_FRAMES", 130)
    parts = encoder.encode(wav)
    torch.testing.assert_close(parts, whole, rtol=0, atol=2e-3)


def test_context_covers_the_reach(encoder: BuiltinEncoder) -> None:
    """A change beyond the declared context leaves a frame as it was; inside the reach it does not."""
    wav = vowels(6.0)
    changed = wav.clone()
    changed[4 * 16000 :] = vowels(2.0, seed=5)
    before, after = encoder.encode(wav), encoder.encode(changed)
    safe = 200 - builtin.CONTEXT_FRAMES
    torch.testing.assert_close(after[:safe], before[:safe], rtol=0, atol=2e-3)
    assert (after[190:] - before[190:]).abs().max() > 0.5


@pytest.mark.parametrize("gain", [0.1, 0.5, 4.0])
def test_level_does_not_matter(encoder: BuiltinEncoder, gain: float) -> None:
    wav = vowels(3.0)
    plain, louder = encoder.encode(wav), encoder.encode(wav * gain)
    torch.testing.assert_close(louder, plain, rtol=0, atol=0.05)


def test_frames_are_centred_on_multiples_of_the_hop(encoder: BuiltinEncoder) -> None:
    """Moving the sound by whole hops moves the units by as many frames."""
    wav = vowels(10.0)
    moved = torch.cat([wav[:16000], wav])[16000 - 3200 :]
    torch.testing.assert_close(encoder.encode(moved)[210:300], encoder.encode(wav)[200:290], rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    "wav",
    [
        torch.zeros(16000),
        torch.ones(16000),
        torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 1e-7,
        torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 100,
        torch.full((16000,), float("nan")),
        torch.full((16000,), float("inf")),
    ],
    ids=["silence", "dc", "tiny", "huge", "nan", "inf"],
)
def test_odd_input_stays_finite(encoder: BuiltinEncoder, wav: torch.Tensor) -> None:
    assert torch.isfinite(encoder.encode(wav)).all()


def test_double_precision_is_accepted_and_shape_is_checked(encoder: BuiltinEncoder) -> None:
    wav = vowels(1.0)
    torch.testing.assert_close(encoder.encode(wav.double()), encoder.encode(wav), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"\[N\]"):
        encoder.encode(wav[None])


def test_same_twice(encoder: BuiltinEncoder) -> None:
    wav = vowels(2.0)
    assert torch.equal(encoder.encode(wav), encoder.encode(wav))
    assert torch.equal(BuiltinEncoder(FILE).encode(wav), encoder.encode(wav))


def test_file_is_small_and_fingerprint_is_its_hash(encoder: BuiltinEncoder) -> None:
    data = FILE.read_bytes()
    assert len(data) <= 8_000_000
    assert encoder.fingerprint == hashlib.sha256(data).hexdigest()[:16]
    story = json.loads(FILE.with_name("encoder.json").read_text("utf-8"))
    assert story["fingerprint"] == encoder.fingerprint


def test_pitch_of_one_sound_moves_units_less_than_another_sound(encoder: BuiltinEncoder) -> None:
    """Same formants an octave apart are nearer than other formants at the same pitch."""
    low, high, other = (encoder.encode(w) for w in (vowels(4.0, 100), vowels(4.0, 200), vowels(4.0, 100, seed=9)))
    same = torch.nn.functional.cosine_similarity(low, high).mean()
    different = torch.nn.functional.cosine_similarity(low, other).mean()
    assert same > different + 0.02


def _rewrite(target: Path, *, version: str = "2", drop: str | None = None, narrow: str | None = None) -> Path:
    tensors = load_file(FILE)
    if drop:
        del tensors[drop]
    if narrow:
        tensors[narrow] = tensors[narrow][:-1].contiguous()
    with safe_open(FILE, framework="pt") as file:
        metadata = dict(file.metadata())
    save_file(tensors, target, metadata | {"format_version": version})
    return target


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(ModelFileError):
        BuiltinEncoder(path)
    path.write_bytes(FILE.read_bytes()[:5000])
    with pytest.raises(ModelFileError):
        BuiltinEncoder(path)
    with pytest.raises(ModelFileError, match=r"head\.bias"):
        BuiltinEncoder(_rewrite(path, drop="head.bias"))
    with pytest.raises(ModelFileError, match=r"head\.bias"):
        BuiltinEncoder(_rewrite(path, narrow="head.bias"))
    with pytest.raises(ModelFileError, match="format 7"):
        BuiltinEncoder(_rewrite(path, version="7"))


def test_mel_bank_warp_moves_a_tone() -> None:
    """A tone at 1 kHz read through a bank warped by 1.2 lands where 1.2 kHz lies unwarped."""
    t = torch.arange(16000) / 16000
    quiet = power_spectrum(torch.sin(2 * torch.pi * 1000 * t))[50]
    moved = power_spectrum(torch.sin(2 * torch.pi * 1200 * t))[50]
    assert abs(int((quiet @ mel_bank(1.2)).argmax()) - int((moved @ mel_bank()).argmax())) <= 1


def test_network_size() -> None:
    assert 4.1e6 < sum(p.numel() for p in UnitNet().parameters()) < 4.3e6


@given(n_frames=st.integers(1, 300))
@settings(max_examples=12)
def test_attention_in_blocks_is_attention_within_reach(n_frames: int) -> None:
    torch.manual_seed(n_frames)
    attention = LocalAttention()
    torch.nn.init.normal_(attention.distance_bias)
    x = torch.randn(2, n_frames, builtin.WIDTH)
    q, k, v = attention.in_proj(x).view(2, n_frames, 3, builtin.HEADS, -1).permute(2, 0, 3, 1, 4)
    distance = torch.arange(n_frames) - torch.arange(n_frames)[:, None]
    near = distance.abs() <= builtin.REACH
    bias = attention.distance_bias[:, distance.clamp(-builtin.REACH, builtin.REACH) + builtin.REACH]
    bias = bias.masked_fill(~near, -torch.inf)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(attention(x), attention.out_proj(mixed.transpose(1, 2).flatten(2)), rtol=1e-4, atol=1e-5)


def test_packed_weights_come_back_within_half_a_step() -> None:
    weights = {
        "a.weight": torch.randn(7, 5, 3) * torch.rand(7, 1, 1),
        "a.bias": torch.randn(7),
        "zero": torch.zeros(2, 2),
    }
    packed = quantise(weights)
    assert packed["a.weight"].dtype == torch.int8
    back = dequantise(packed)
    assert set(back) == set(weights)
    half_a_step = packed["a.weight.step"].view(-1, 1, 1) / 2
    assert ((back["a.weight"] - weights["a.weight"]).abs() <= half_a_step * 1.001).all()
    torch.testing.assert_close(back["a.bias"], weights["a.bias"], rtol=1e-3, atol=1e-3)
    assert not back["zero"].any()
