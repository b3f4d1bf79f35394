"""Each denoiser that is installed takes noise and keeps time; what is not installed is said."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from core.audio.resample import resample
from core.cleaning.denoise import choose, installed
from core.errors import Unavailable
from tests.cleaning.kit import noisy, sdr_db, source_of, through


@pytest.mark.parametrize("name", ["deepfilter", "rnnoise", "gate"])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_noise_goes_and_time_stays(tmp_path: Path, voice: np.ndarray, name: str, rate_hz: int) -> None:
    if not installed(name):
        pytest.skip(f"{name} is optional and not installed")
    clean = resample(voice, 16000, rate_hz)
    spoiled = noisy(clean, 8.0)
    source = source_of(tmp_path, spoiled, rate_hz)
    heard = through("denoise", source, denoiser=name)
    assert heard.size == clean.size
    # In time to the sample: a shift of a millisecond would undo all of this.
    assert sdr_db(heard, clean) > sdr_db(spoiled, clean) + 3.0
    assert source.notes == [f"denoiser: {name}"]


def test_there_is_always_one() -> None:
    assert installed(choose("auto"))


def test_what_is_not_installed_is_said() -> None:
    if importlib.util.find_spec("pyrnnoise") is not None:
        pytest.skip("pyrnnoise is installed here")
    with pytest.raises(Unavailable) as err:
        choose("rnnoise")
    assert "pyrnnoise" in err.value.hint
