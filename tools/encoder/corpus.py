"""Collects the speech that the encoder learns from, one file per voice.

Three kinds of voices:

* natural: Allison (shared data, every tenth clip left out) and three prompt sets of
  the Debian archive (French, Spanish, Russian), fetched with ``apt-get download``;
* synthetic: espeak-ng variants in many languages, flite and festival voices where
  those programs are installed;
* shifted: each natural, flite and festival voice again with other formants and pitch
  (Praat's overlap-add, same timing), as pseudo-speakers.

Never used here: the Italian speaker and the piper voice. They are the unseen test.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from tools.encoder.texts import passage

RATE_HZ = 16000
MAX_CLIP_S = 10.0
HOLD_OUT_EVERY = 10
PROMPT_PACKAGES = ("asterisk-core-sounds-fr-g722", "asterisk-core-sounds-es-g722", "asterisk-core-sounds-ru-g722")
FLITE_VOICES = ("awb", "rms", "slt", "kal16")
FESTIVAL_VOICES = {
    "kal_diphone": ("en", "utf-8"),
    "ked_diphone": ("en", "utf-8"),
    "cmu_us_slt_arctic_hts": ("en", "utf-8"),
    "czech_machac": ("cs", "iso-8859-2"),
    "czech_ph": ("cs", "iso-8859-2"),
    "czech_dita": ("cs", "iso-8859-2"),
    "msu_ru_nsh_clunits": ("ru", "utf-8"),
    "suo_fi_lj_diphone": ("fi", "iso-8859-15"),
    "hy_fi_mv_diphone": ("fi", "iso-8859-15"),
    "upc_ca_ona_hts": ("ca", "iso-8859-15"),
}
# Kept for the probes (tools.encoder.evaluate), never trained on.
ESPEAK_TEST_VARIANTS = ("f5", "m8", "Annie", "Marco", "travis", "shelby", "victor", "Alicia")
# fmt: off
ESPEAK_VARIANTS = (
    "f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "Denis", "edward", "caleb", "Mike", "Gene",
    "Gene2", "belinda", "antonio", "gustave", "pablo", "ed", "quincy", "klatt", "klatt2", "klatt3", "klatt4",
    "sandro", "mike2", "adam", "robert", "Diogo", "steph", "steph2", "Lee", "anika", "Mario", "Reed", "Storm",
    "pedro", "Andrea", "rob", "john", "kaukovalta", "Henrique", "iven", "iven2", "iven3", "aunty", "benjamin",
    "grandma", "boris", "ian", "Hugo", "Michael", "paul", "norbert", "miguel", "linda", "Andy", "Alex", "Jacky",
    "grandpa", "marcelo", "david", "zac", "max", "michel", "announcer",
)
# fmt: on
ESPEAK_LANGUAGES = {
    "en": ("en-us", "en", "en-gb-scotland", "en-029", "en-gb-x-rp"),
    "es": ("es", "es-419"),
    "fr": ("fr",),
    "de": ("de",),
    "pt": ("pt", "pt-br"),
    "ru": ("ru",),
    "pl": ("pl",),
    "cmn": ("cmn",),
    "ja": ("ja",),
    "sv": ("sv",),
    "hi": ("hi",),
    "ar": ("ar",),
}


def split_held_out(index: list[dict[str, object]]) -> tuple[list[str], list[str]]:
    """(train, held out) file names: every tenth clip of the sorted index is held out."""
    names = sorted(str(entry["file"]) for entry in index)
    held = names[HOLD_OUT_EVERY - 1 :: HOLD_OUT_EVERY]
    return [n for n in names if n not in set(held)], held


def read_clip(path: Path) -> np.ndarray:
    """A 16 kHz mono file as int16 [N]; ``.g722`` is raw G.722 without a header."""
    if path.suffix == ".g722":
        with av.open(str(path), format="g722") as container:
            frames = [f.to_ndarray().reshape(-1) for f in container.decode(audio=0)]
        return np.concatenate(frames).astype(np.int16) if frames else np.zeros(0, np.int16)
    audio, rate = soundfile.read(path, dtype="int16")
    return audio if rate == RATE_HZ else soxr.resample(audio, rate, RATE_HZ)


def pieces(audio: np.ndarray) -> list[np.ndarray]:
    """Cuts long audio into pieces of at most ``MAX_CLIP_S``."""
    n = int(MAX_CLIP_S * RATE_HZ)
    return [p for p in (audio[i : i + n] for i in range(0, len(audio), n)) if len(p) > RATE_HZ // 4]


def save_voice(path: Path, clips: list[np.ndarray]) -> None:
    """Writes one voice: all samples in one array, and where each clip ends."""
    ends = np.cumsum([len(c) for c in clips])
    np.savez(path, audio=np.concatenate(clips).astype(np.int16), ends=ends)


def load_voice(path: Path) -> list[np.ndarray]:
    """The clips that ``save_voice`` wrote."""
    with np.load(path) as data:
        return np.split(data["audio"], data["ends"][:-1])


def _allison(shared: Path) -> list[np.ndarray]:
    folder = shared / "data" / "en_US_f_Allison"
    train, _ = split_held_out(json.loads((folder / "index.json").read_text()))
    return [p for name in train for p in pieces(read_clip(folder / name))]


def _prompts(work: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The natural voices of the Debian prompt packages (nothing where apt is absent)."""
    if shutil.which("apt-get") is None:
        return
    work.mkdir(parents=True, exist_ok=True)
    for package in PROMPT_PACKAGES:
        if subprocess.run(["apt-get", "download", "-qq", package], cwd=work, check=False).returncode:
            print(f"skipped {package}: could not be fetched")
            continue
        deb = max(work.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg", "-x", str(deb), str(work / package)], check=True)
        clips = [p for f in sorted((work / package).rglob("*.g722")) for p in pieces(read_clip(f))]
        yield package.split("-")[3], clips


def _flite(rng: np.random.Generator) -> Iterator[tuple[str, list[np.ndarray]]]:
    if shutil.which("flite") is None:
        return
    for voice in FLITE_VOICES:
        clips = []
        for line in passage("en", rng, 60):
            with tempfile.NamedTemporaryFile(suffix=".wav") as out:
                subprocess.run(["flite", "-voice", voice, "-t", line, "-o", out.name], check=True)
                clips += pieces(read_clip(Path(out.name)))
        yield voice, clips


def _festival(rng: np.random.Generator) -> Iterator[tuple[str, list[np.ndarray]]]:
    if shutil.which("text2wave") is None:
        return
    for voice, (language, encoding) in FESTIVAL_VOICES.items():
        text = "\n\n".join(passage(language, rng, 60 if language == "en" else 30))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in.txt").write_bytes(text.encode(encoding, "ignore"))
            command = ["text2wave", "-eval", f"(voice_{voice})", "-o", f"{folder}/out.wav", f"{folder}/in.txt"]
            done = subprocess.run(command, check=False, capture_output=True)
            if done.returncode or not (Path(folder) / "out.wav").exists():
                print(f"skipped festival {voice}")
                continue
            yield voice, pieces(read_clip(Path(folder) / "out.wav"))


def _espeak(rng: np.random.Generator) -> Iterator[tuple[str, list[np.ndarray]]]:
    from tools.encoder.espeak import Espeak

    engine = Espeak()
    languages = list(ESPEAK_LANGUAGES)
    for i, variant in enumerate(ESPEAK_VARIANTS):
        clips: list[np.ndarray] = []
        for language in dict.fromkeys(("en", languages[i % len(languages)])):
            dialects = ESPEAK_LANGUAGES[language]
            for line in passage(language, rng, 12):
                try:
                    audio, _ = engine.say(
                        f"{dialects[rng.integers(len(dialects))]}+{variant}",
                        line,
                        words_per_minute=int(rng.integers(120, 230)),
                        pitch=int(rng.integers(20, 85)),
                        pitch_range=int(rng.integers(20, 90)),
                    )
                except ValueError as error:
                    print(f"skipped: {error}")
                    continue
                clips += pieces(audio)
        if clips:
            yield variant, clips


def _shift(clip: np.ndarray, formants: float, pitch_hz: float) -> np.ndarray:
    """Other formants and pitch, same timing (Praat's 'Change gender')."""
    import parselmouth

    sound = parselmouth.Sound(clip / 32768.0, RATE_HZ)
    try:
        out = parselmouth.praat.call(sound, "Change gender", 70, 500, formants, pitch_hz, 1.0, 1.0).values[0]
    except parselmouth.PraatError:  # too short or without any voicing: keep the clip as it is
        return clip
    out = out[: len(clip)]
    return np.clip(np.pad(out, (0, len(clip) - len(out))) * 32768, -32768, 32767).astype(np.int16)


def _shifted_voice(job: tuple[Path, Path, int]) -> str:
    source, target, seed = job
    rng = np.random.default_rng(seed)
    clips = []
    for clip in load_voice(source):
        formants = float(np.exp(rng.uniform(np.log(0.78), np.log(1.2))))
        # A lower formant scale means a longer vocal tract: pair it with a lower voice, loosely.
        pitch_hz = float(np.clip(rng.normal(150, 25) * formants**2.5, 75, 340))
        clips.append(_shift(clip, formants, pitch_hz))
    save_voice(target, clips)
    return target.name


def build(shared: Path, cache: Path, workers: int = 2) -> Path:
    """Makes ``cache/corpus/*.npz``; what is already there is kept. Returns the folder."""
    folder = cache / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    if not (folder / "natural_allison.npz").exists():
        save_voice(folder / "natural_allison.npz", _allison(shared))
    for kind, voices in (
        ("natural", _prompts(cache / "debs")),
        ("flite", _flite(rng)),
        ("festival", _festival(rng)),
        ("espeak", _espeak(rng)),
    ):
        if any(folder.glob(f"{kind}_*.npz")) and (folder / f".{kind}_done").exists():
            continue
        for name, clips in voices:
            save_voice(folder / f"{kind}_{name}.npz", clips)
        (folder / f".{kind}_done").touch()
    jobs = []
    for i, source in enumerate(sorted(folder.glob("[nf]*_*.npz"))):
        target = folder / f"shifted_{source.stem}.npz"
        if not target.exists():
            jobs.append((source, target, 100 + i))
    jobs.sort(key=lambda job: -job[0].stat().st_size)
    with ProcessPoolExecutor(workers) as pool:
        for name in pool.map(_shifted_voice, jobs):
            print("made", name)
    return folder


def main() -> None:
    """Command line: ``python -m tools.encoder.corpus --shared ../shared --cache DIR``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    folder = build(args.shared, args.cache)
    total = 0.0
    for path in sorted(folder.glob("*.npz")):
        seconds = sum(map(len, load_voice(path))) / RATE_HZ
        total += seconds
        print(f"{path.stem}: {seconds / 60:.1f} min")
    print(f"total {total / 60:.1f} min")


if __name__ == "__main__":
    main()
