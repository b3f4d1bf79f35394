"""What the cutting tests share: a short recording of synthetic speech with its subtitles and its truth."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.encode import write_audio
from core.cutting.slice import run_slice
from core.jobs.context import ForegroundContext
from core.paths import REPO_ROOT
from core.settings import load_settings

RATE_HZ = 22050


@dataclass(frozen=True)
class Talk:
    """`truth`: when each sentence is spoken, s; `texts`: what is said."""

    audio: Path
    truth: list[tuple[float, float]]
    texts: list[str]
    samples: np.ndarray

    def srt(self, path: Path, shift_s: float = 0.0, drift: float = 1.0, jitter_s: float = 0.06) -> Path:
        """Subtitles that say `(true time - shift) / drift`, each edge off by up to `jitter_s`."""
        from benchmarks.slicing import write_srt

        rng = np.random.default_rng(3)
        times = [
            tuple(max(0.0, (at - shift_s) / drift + float(rng.uniform(-jitter_s, jitter_s))) for at in pair)
            for pair in self.truth
        ]
        return write_srt(path, [(start, end) for start, end in times])


def spoken(path: Path, n_sentences: int) -> list[np.ndarray]:
    """The first of SENTENCES, by a process of its own: espeak-ng goes on from what it said before, so that only a fresh
    one says them alike each time."""
    program = (
        "import sys; import numpy as np; from core.audio.synthetic import SENTENCES, WOMAN, speak\n"
        f"said = [speak(text, WOMAN) for text in SENTENCES[:{n_sentences}]]\n"
        f"assert {{rate for _, rate in said}} == {{{RATE_HZ}}}\n"
        "np.savez(sys.argv[1], *(audio for audio, _ in said))"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], cwd=REPO_ROOT, check=True)
    with np.load(path) as kept:
        return [kept[f"arr_{number}"] for number in range(n_sentences)]


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Nine sentences with pauses of 0.2 to 0.8 s over a soft noise, 22.05 kHz."""
    from core.audio.synthetic import SENTENCES

    rng = np.random.default_rng(1)
    parts, truth, now = [np.zeros(RATE_HZ // 2, np.float32)], [], RATE_HZ // 2
    texts = list(SENTENCES[:9])
    folder = tmp_path_factory.mktemp("talk")
    for audio in spoken(folder / "spoken.npz", len(texts)):
        loud = np.flatnonzero(np.abs(audio) > 0.003)
        audio = audio[loud[0] : loud[-1] + 1]
        truth.append((now / RATE_HZ, (now + audio.size) / RATE_HZ))
        pause = np.zeros(round(float(rng.uniform(0.2, 0.8)) * RATE_HZ), np.float32)
        parts += [audio, pause]
        now += audio.size + pause.size
    samples = np.concatenate(parts) + 1e-4 * rng.standard_normal(now, dtype=np.float32)
    path = write_audio(folder / "讲 talk.wav", samples, RATE_HZ)
    return Talk(path, truth, texts, samples)


@pytest.fixture
def cut(talk: Talk, workspace: Path) -> Any:
    """`cut(subs, out=None, audio=None, voice=None, **options) -> result`, clips at 16 kHz where not said otherwise."""

    def run(subs: Path, out: Path | None = None, **options: Any) -> dict[str, Any]:
        audio, voice = options.pop("audio", talk.audio), options.pop("voice", None)
        on_progress = options.pop("on_progress", None)
        params = {"audio": str(audio), "subs": str(subs), "options": {"sample_rate": 16000, **options}}
        params |= {"voice": voice} if voice else {"out": str(out)}
        settings = load_settings({"workspace": str(workspace)}, env={})
        return run_slice(params, ForegroundContext(settings, on_progress))

    return run
