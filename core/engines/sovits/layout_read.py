"""A data set that so-vits-svc 4.1 prepared, taken over: every speaker a voice, its clips accepted, its features kept.

Units, pitch and loudness that lie beside the clips go into the studio's cache, so that nothing is computed again; only
where their content encoder is here, because the cache names it by its weights.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.audio.quality import measure
from core.dataset.clips import SILENCE_DB, SILENCE_LUFS, Clip, ClipTable
from core.engines.sovits.dataset import wav_frames
from core.engines.sovits.recipe import HOP
from core.errors import BadInput, NotFound, StudioError
from core.features import cache, encoders
from core.features.extract import Features, FeatureSpec
from core.features.volume import volume
from core.models.npy_file import read_npy
from core.models.safe_load import load_checkpoint
from core.paths import safe_name

if TYPE_CHECKING:
    from core.dataset.voices import Voice, VoiceStore
    from core.jobs.context import JobContext

_RATE_HZ = 44100


def run_import(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Make voices of a prepared data set.

    Args:
        params: "folder": the installation, or its dataset/44k; "pitch": predictor that made its .f0.npy (default
            rmvpe, so-vits-svc's own).
        ctx: settings, progress, cancel.

    Returns:
        {"voices": [{"voice", "clips", "features", "skipped": [{"name", "reason"}]}]}.

    Raises:
        NotFound: there is no data set. Conflict: a voice of a speaker's name is there.
    """
    from core.dataset.voices import VoiceStore

    root = Path(params["folder"])
    data = next((one for one in (root / "dataset" / "44k", root / "44k", root) if _speakers(one)), None)
    if data is None:
        raise NotFound(
            f"There is no data set of so-vits-svc in {root}.",
            "Choose the folder that holds dataset/44k, with a folder of .wav files for each speaker.",
            where=str(root),
        )
    spec = _spec(root, data, str(params.get("pitch") or "rmvpe"), ctx)
    store = VoiceStore(ctx.settings.voices_dir)
    speakers = _speakers(data)
    voices = []
    for number, speaker in enumerate(speakers):
        part = ctx.sub(number / len(speakers), (number + 1) / len(speakers))
        voices.append(_take(store, speaker, spec, part))
    return {"voices": voices}


def _speakers(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_dir() and any(one.glob("*.wav")))


def _spec(root: Path, data: Path, pitch: str, ctx: "JobContext") -> FeatureSpec | None:
    """What the features are of; None where their encoder is not here, so that they cannot be named."""
    places = (root / "configs" / "config.json", data.parent.parent / "configs" / "config.json")
    config = next((one for one in places if one.is_file()), None)
    name = "vec768l12"
    if config is not None:
        try:
            name = str(json.loads(config.read_text(encoding="utf-8"))["model"].get("speech_encoder", name))
        except (OSError, ValueError, KeyError, AttributeError) as err:
            raise BadInput(f"{config} is no config of so-vits-svc.", "Put back the original.") from err
    try:
        encoder = encoders.create(name, "cpu", ctx.settings)
    except StudioError:
        return None
    return cache.spec_of(encoder, pitch)


def _take(store: "VoiceStore", speaker: Path, spec: FeatureSpec | None, ctx: "JobContext") -> dict[str, Any]:
    """One speaker as a new voice; after an error or a cancel the voice is gone again."""
    voice = store.create(speaker.name)
    try:
        return _fill(voice, speaker, spec, ctx)
    except BaseException:
        shutil.rmtree(voice.path, ignore_errors=True)
        raise


def _fill(voice: "Voice", speaker: Path, spec: FeatureSpec | None, ctx: "JobContext") -> dict[str, Any]:
    clips: list[Clip] = []
    skipped: list[dict[str, str]] = []
    n_features = 0
    files = sorted(speaker.glob("*.wav"))
    for number, source in enumerate(files):
        ctx.progress(number / len(files), f"{voice.name}: {source.name}")
        try:
            clips.append(_clip(voice, source))
        except BadInput as err:
            skipped.append({"name": source.name, "reason": err.message})
            continue
        if spec is not None:
            try:
                n_features += _features(source, clips[-1].sha256, spec, ctx)
            except StudioError as err:
                skipped.append({"name": source.name, "reason": f"its features are made again: {err.message}"})
    ClipTable(voice).save(clips)
    return {"voice": voice.name, "clips": len(clips), "features": n_features, "skipped": skipped}


def _clip(voice: "Voice", source: Path) -> Clip:
    """Copy one clip and measure it. Raises BadInput for what is not 16-bit mono at 44.1 kHz."""
    import wave

    frames = wav_frames(source)
    target = voice.sliced / f"{safe_name(source.stem, 'clip')}.wav"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    with wave.open(str(target), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768.0
    quality = measure(samples, _RATE_HZ)
    seconds = max(frames * HOP, samples.size) / _RATE_HZ
    return Clip(
        id=target.stem,
        audio=target.relative_to(voice.path).as_posix(),
        source=source.name,
        start_s=0.0,
        end_s=seconds,
        duration_s=seconds,
        lufs=round(max(SILENCE_LUFS, quality.lufs), 2),
        peak_db=round(max(SILENCE_DB, quality.peak_db), 2),
        snr_db=round(quality.snr_db, 1),
        clipped_fraction=round(quality.clipped_fraction, 6),
        sha256=cache.file_sha256(target),
    )


def _features(source: Path, sha256: str, spec: FeatureSpec, ctx: "JobContext") -> int:
    """Keep what lies beside a clip; 1 if it did, 0 if something is missing. Raises ModelFileError, BadInput."""
    soft, pitch = Path(f"{source}.soft.pt"), Path(f"{source}.f0.npy")
    if not soft.is_file() or not pitch.is_file():
        return 0
    units = load_checkpoint(soft)
    curves = read_npy(pitch)
    n_frames = wav_frames(source)
    if not isinstance(units, torch.Tensor) or units.dim() != 3 or len(curves) != 2:
        raise BadInput(f"{soft.name} or {pitch.name} is not as so-vits-svc writes it.", "Prepare it again.")
    f0_hz, uv = (np.asarray(list(curve), np.float32) for curve in curves)
    if abs(len(f0_hz) - n_frames) > 1:
        raise BadInput(f"{pitch.name} has {len(f0_hz)} frames, the clip {n_frames}.", "Prepare it again.")
    own = Path(f"{source}.vol.npy")
    loud = read_npy(own).astype(np.float32) if own.is_file() else _loudness(source)
    found = Features(units[0].T.float(), torch.from_numpy(f0_hz * (uv > 0)), torch.from_numpy(loud))
    cache.keep(ctx.settings.cache_dir / "features", spec, sha256, found)
    return 1


def _loudness(source: Path) -> np.ndarray:
    from core.audio.decode import load

    return volume(load(source, _RATE_HZ), HOP)
