"""Another person among the takes of one is found; one person's takes stay together."""

from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import load
from core.audio.synthetic import MAN
from core.errors import BadInput, ModelFileError, Unavailable
from core.quality.speakers import LEAST_CLIPS, TIMBRE, choose, outliers, pack, strangers, timbre_of, unpack
from core.settings import Settings, load_settings
from tests.features import tiny_speaker
from tests.quality.conftest import Say


def test_a_man_among_women(say: Say) -> None:
    takes = [timbre_of(say(index)) for index in range(9)] + [timbre_of(say(9, MAN))]
    far = outliers(takes)
    assert all(z is not None for z in far)
    scores = [z or 0.0 for z in far]
    assert scores[-1] > 5.0
    assert max(scores[:-1]) < 5.0


def test_few_clips_tell_nothing(say: Say) -> None:
    assert outliers([timbre_of(say(0))] * (LEAST_CLIPS - 1)) == [None] * (LEAST_CLIPS - 1)


def test_equal_clips_are_no_outliers() -> None:
    assert outliers([np.ones(40, np.float32)] * 20) == [0.0] * 20


def test_vectors_survive_packing() -> None:
    vector = np.random.default_rng(0).standard_normal(40).astype(np.float32) * 30
    assert np.allclose(unpack(pack(vector)), vector, rtol=1e-3)
    with pytest.raises(ValueError):
        unpack("no base64!")


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return load_settings({"workspace": str(workspace), "pretrain_dir": str(workspace)}, env={})


class TestChoosing:
    def test_without_a_network_there_is_timbre(self, settings: Settings, say: Say) -> None:
        assert choose("auto", settings) == choose("timbre", settings) == TIMBRE
        assert np.array_equal(TIMBRE(say(0)), timbre_of(say(0)))
        with pytest.raises(Unavailable, match="speaker network"):
            choose("network", settings)

    def test_a_network_is_taken_by_itself(self, settings: Settings, say: Say) -> None:
        tiny_speaker.write(settings.pretrain_dir / "speaker" / "campplus.onnx")
        found = choose("auto", settings)
        assert found == choose("network", settings)
        assert found.name.startswith("campplus-")
        assert found(say(0)).shape == (tiny_speaker.DIM,)
        assert choose("timbre", settings) == TIMBRE

    def test_wrong_names_and_damaged_networks_are_told_at_once(self, settings: Settings) -> None:
        with pytest.raises(BadInput, match="ears"):
            choose("ears", settings)
        (settings.pretrain_dir / "speaker").mkdir()
        (settings.pretrain_dir / "speaker" / "campplus.onnx").write_bytes(b"not a network")
        with pytest.raises(ModelFileError):
            choose("auto", settings)


def people(n_own: int, n_others: int, spread: float, seed: int = 0) -> list[np.ndarray]:
    """Unit vectors [192] of one person, then of others, as speaker networks scatter them."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((1 + n_others, 192))
    rows = [centres[0] + spread * rng.standard_normal(192) for _ in range(n_own)]
    rows += [centre + spread * rng.standard_normal(192) for centre in centres[1:]]
    return [(row / np.linalg.norm(row)).astype(np.float32) for row in rows]


class TestStrangers:
    @pytest.mark.parametrize("spread", [0.3, 0.8])
    def test_other_people_are_found(self, spread: float) -> None:
        scores = [z or 0.0 for z in strangers(people(30, 4, spread), [3.0] * 34)]
        assert min(scores[30:]) > 5.0 > max(scores[:30])

    @pytest.mark.slow
    def test_of_two_real_readers_each_is_a_stranger_to_the_other(self, shared_dir: Path) -> None:
        """With the vectors of a real network, Resemblyzer's, where the benchmarks' requirements brought it."""
        resemblyzer = pytest.importorskip("resemblyzer")
        network, found = resemblyzer.VoiceEncoder("cpu", verbose=False), {}
        for name in ("en_US_f_Allison", "it_IT_m_Carlo"):
            clips = [load(path, 16000) for path in sorted((shared_dir / "data" / name).glob("*.flac"))[::9]]
            found[name] = [network.embed_utterance(clip) for clip in clips if clip.size > 1.6 * 16000][:20]
        for own, other in (found.values(), reversed(list(found.values()))):
            scores = [z or 0.0 for z in strangers([*own, *other[:3]], [3.0] * (len(own) + 3))]
            assert max(scores[:-3]) < 5.0
            assert sum(z > 5.0 for z in scores[-3:]) >= 2

    def test_short_clips_are_not_judged_and_do_not_judge(self) -> None:
        vectors = people(12, 9, 0.5)
        scores = strangers(vectors, [3.0] * 12 + [1.0] * 9)
        assert scores[12:] == [None] * 9
        assert max(z or 0.0 for z in scores[:12]) < 5.0

    def test_few_clips_tell_nothing(self) -> None:
        assert strangers(people(6, 1, 0.5), [3.0] * 7) == [None] * 7
        assert strangers(people(20, 0, 0.5), [1.0] * 20) == [None] * 20

    def test_equal_clips_are_no_strangers(self) -> None:
        assert strangers([np.eye(1, 8, dtype=np.float32)[0]] * 20, [3.0] * 20) == [0.0] * 20
