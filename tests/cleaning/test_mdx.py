"""The network gets the sound in pieces and gives it back whole, in time, without seams."""

from pathlib import Path

import numpy as np
import pytest

from core.cleaning.mdx import RATE_HZ, MdxNet, parted
from core.cleaning.mdx_models import MdxModel, params_of
from core.errors import Cancelled, ModelFileError
from tests.cleaning import tiny_mdx

PIECE = 1024 * (tiny_mdx.N_FRAMES - 1)


def model_in(folder: Path, **shape: float) -> MdxModel:
    path = tiny_mdx.write(folder, content=tiny_mdx.onnx_bytes(**shape))
    return MdxModel(path, params_of(path))


def sound(n_samples: int) -> np.ndarray:
    """Tones that lie within what the network sees, other ones left and right."""
    t = np.arange(n_samples) / RATE_HZ
    left = 0.3 * np.sin(2 * np.pi * 330 * t) + 0.2 * np.sin(2 * np.pi * 4100 * t)
    return np.stack([left, 0.25 * np.sin(2 * np.pi * 777 * t)], axis=1).astype(np.float32)


def joined(model: MdxModel, song: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    net = MdxNet(model, lambda: None)
    pairs = list(parted(net, model, (song[at : at + block] for at in range(0, len(song), block))))
    empty = np.zeros((0, 2), np.float32)
    return tuple(np.concatenate([empty, *(pair[i] for pair in pairs)]) for i in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("n_samples", [1, 500, PIECE // 2, PIECE, PIECE + 1, 3 * PIECE + 4321])
def test_the_two_parts_are_the_song(tmp_path: Path, n_samples: int) -> None:
    song = sound(n_samples)
    vocals, accompaniment = joined(model_in(tmp_path), song, 5000)
    assert vocals.shape == accompaniment.shape == song.shape
    assert np.abs(vocals + accompaniment - song).max() < 1e-6


def test_a_network_that_answers_everything_gives_the_song_back(tmp_path: Path) -> None:
    song = sound(3 * PIECE + 4321)
    vocals, _ = joined(model_in(tmp_path, openness=50.0), song, 5000)
    error = vocals / tiny_mdx.PARAMS["compensation"] - song  # type: ignore[operator]
    # The hard ends of a tone reach beyond the bins that the network sees; in between there is no seam.
    assert np.abs(error[2048:-2048]).max() < 1e-3
    assert np.abs(error).max() < 0.2


def test_blocks_do_not_show(tmp_path: Path) -> None:
    model, song = model_in(tmp_path), sound(2 * PIECE + 99)
    first, second = joined(model, song, 1000)[0], joined(model, song, len(song))[0]
    assert np.abs(first - second).max() < 1e-6


def test_one_piece_by_the_definition(tmp_path: Path) -> None:
    """The transform there and back, written out for one frame and one bin."""
    model = model_in(tmp_path)
    net = MdxNet(model, lambda: None)
    piece = sound(net.piece_samples)
    planes = net._spectra(piece)
    at, k, n = 5, 100, tiny_mdx.N_FFT
    frame = piece[at * 1024 - n // 2 : at * 1024 + n // 2]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    wave = np.exp(-2j * np.pi * k * np.arange(n) / n)
    left, right = (np.sum(frame[:, side] * hann * wave) for side in (0, 1))
    assert np.allclose(planes[0, :, k, at], [left.real, left.imag, right.real, right.imag], atol=1e-3)
    assert not planes[:, :, :3].any()


def test_which_part_is_the_voice(tmp_path: Path) -> None:
    song = sound(PIECE)
    voice = joined(model_in(tmp_path / "a"), song, 5000)[0]
    other = tiny_mdx.write(tmp_path / "b", params={**tiny_mdx.PARAMS, "stem": "accompaniment"})
    music = joined(MdxModel(other, params_of(other)), song, 5000)[1]
    assert np.array_equal(voice, music)


def test_cancel_stops_the_run(tmp_path: Path) -> None:
    """Large enough to be asked while it computes; the answer to that ends the run."""
    asked = []

    def check() -> None:
        asked.append(1)
        raise Cancelled()

    net = MdxNet(model_in(tmp_path, n_bins=1025, n_frames=6000), check)

    def often() -> None:  # on a fast machine one run is over before it is asked
        for _ in range(50):
            net._run(np.zeros((1, 4, 1025, 6000), np.float32))

    with pytest.raises(Cancelled):
        often()
    assert asked == [1]


@pytest.mark.parametrize(
    "shape", [{"planes": 2}, {"n_bins": tiny_mdx.N_FFT}, {"n_frames": 2}], ids=["mono", "more bins", "too short"]
)
def test_what_is_no_such_network_is_refused(tmp_path: Path, shape: dict[str, float]) -> None:
    with pytest.raises(ModelFileError, match=r"Tiny\.onnx takes"):
        MdxNet(model_in(tmp_path, **shape), lambda: None)


def test_damage_is_refused(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    model.path.write_bytes(model.path.read_bytes()[:300])
    with pytest.raises(ModelFileError, match="ONNX"):
        MdxNet(model, lambda: None)
