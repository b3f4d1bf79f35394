"""The enhancer: a generator's audio analysed and made again by the NSF-HiFi-GAN vocoder. Not used with diffusion.

The adaptive key helps voices above what the vocoder was trained on: the audio is played slower, so that it sounds
`key` semitones lower to the vocoder, and what the vocoder makes is played faster again.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from core.audio.resample import resample
from core.engines.sovits.vocoder import Vocoder
from core.nn.noise import Noise


def adaptive_rate(rate_hz: int, key: float) -> int:
    """The rate whose samples, read at `rate_hz`, sound `key` semitones lower; in steps of 100 Hz."""
    return 100 * round(rate_hz * 2.0 ** (key / 12) / 100)


def slowed_pitch(
    f0: NDArray[np.floating], frame_s: float, rate_hz: int, slow_hz: int, hop: int, n_frames: int
) -> NDArray[np.float32]:
    """Pitch of audio resampled to `slow_hz` but read at `rate_hz`: lower by that ratio, on frames of `hop` samples.

    f0 [T] in Hz every `frame_s` seconds; returns [n_frames], linear between, held at the ends.
    """
    factor = rate_hz / slow_hz
    given = np.arange(f0.size) * frame_s / factor
    wanted = np.arange(n_frames) * (hop / rate_hz)
    return np.interp(wanted, given, np.asarray(f0, np.float64) * factor).astype(np.float32)


def enhance(
    audio: NDArray[np.float32],
    rate_hz: int,
    f0: NDArray[np.floating],
    frame_s: float,
    vocoder: Vocoder,
    key: float = 0.0,
    generator: torch.Generator | Noise | None = None,
) -> NDArray[np.float32]:
    """Audio [N] at `rate_hz` made again by the vocoder, as long as before, at the vocoder's rate.

    f0 [T] in Hz (0 unvoiced) every `frame_s` seconds. `key`: semitones that the vocoder hears it lower.
    """
    config = vocoder.config
    slow_hz = adaptive_rate(config.sampling_rate, key)
    slowed = resample(audio, rate_hz, slow_hz)
    device = next(vocoder.parameters()).device
    mel = vocoder.mel(torch.from_numpy(slowed).to(device).unsqueeze(0))
    pitch = slowed_pitch(f0, frame_s, config.sampling_rate, slow_hz, config.hop_size, mel.shape[2])
    made = vocoder.infer(mel, torch.from_numpy(pitch).to(device).unsqueeze(0), generator)
    back = resample(made[0, 0].float().cpu().numpy(), slow_hz, config.sampling_rate)
    length = round(audio.size * config.sampling_rate / rate_hz)
    return np.pad(back[:length], (0, max(0, length - back.size)))
