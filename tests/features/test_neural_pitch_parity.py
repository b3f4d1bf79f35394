"""Our use of the packaged networks against the packages' own."""

import contextlib
import io

import numpy as np
import pytest
import torch

from core.features.pitch.crepe import CrepePitch, _load_packaged, _smoothest_path
from core.features.pitch.crepe_fourier import FourierCrepe
from core.features.pitch.fcpe import FcpePitch
from tests.features.tones import glide, voice


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_fourier_crepe_equals_the_package(size: str) -> None:
    packaged = _load_packaged(size).eval()
    tone = voice(glide("fall", 0.3, 16000), 16000)
    windows = torch.from_numpy(np.lib.stride_tricks.sliding_window_view(tone, 1024)[::1500].copy())
    windows = (windows - windows.mean(1, keepdim=True)) / windows.std(1, keepdim=True)
    with torch.inference_mode():
        want, got = packaged(windows), FourierCrepe(packaged).eval()(windows)
    assert want.max() > 0.3, "the case must exercise the network"
    torch.testing.assert_close(got, want, atol=2e-5, rtol=0)


def test_fcpe_equals_the_package() -> None:
    import torchfcpe

    tone = voice(glide("chirp", 1.0, 16000), 16000)
    with contextlib.redirect_stdout(io.StringIO()):
        packaged = torchfcpe.spawn_bundled_infer_model("cpu")
        want = packaged.infer(torch.from_numpy(tone)[None, :, None], sr=16000, threshold=0.05)[0, :, 0].numpy()
    got = FcpePitch()._run(tone)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_crepe_gives_the_same_answer_twice() -> None:
    """The package dithers its output with unseeded noise; ours must not."""
    predictor = CrepePitch(size="tiny")
    tone = voice(glide("vibrato", 0.3, 16000), 16000)
    first, second = (predictor.predict(tone, 16000, 160, 30) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_smoothest_path_ignores_a_single_outlier() -> None:
    salience = np.full((9, 200), 0.01, np.float32)
    salience[:, 100] = 0.6
    salience[4, 100], salience[4, 160] = 0.4, 0.9
    assert _smoothest_path(salience).tolist() == [100] * 9


def test_the_smoothest_path_follows_a_slide() -> None:
    salience = np.full((20, 200), 0.01, np.float32)
    want = 20 + 8 * np.arange(20)
    salience[np.arange(20), want] = 0.7
    assert _smoothest_path(salience).tolist() == want.tolist()
