"""What is asked before a so-vits-svc run starts. Light: no torch here."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import device
from core.checks import Check
from core.engines.sovits.import_place import base_folder, base_pair
from core.errors import StudioError, human_bytes
from core.features.encoders import ENCODERS
from core.settings import Settings
from core.training import preflight as common
from core.training.options import TrainOptions
from core.training.preflight import Sizes
from core.training.runs import RunInfo

if TYPE_CHECKING:
    from core.dataset.clips import Clip


@dataclass(frozen=True)
class Cost:
    """What a preset takes, in float32. Parameters, and the activations that are kept for the backward pass, are counted
    from the models (`tests/training/test_memory.py` counts them again)."""

    generator_parameters: float
    discriminator_parameters: float
    batch_size: int
    segment_frames: int
    """Frames of a segment where the options name none."""
    fixed_bytes: float
    """Kept whatever the batch: weights with their norm; of lite the windows that its discriminator sees."""
    bytes_per_segment_frame: float
    """Of one item: what is decoded and judged."""
    bytes_per_frame: float = 0.0
    """Of one item: encoders and flow, which see whole clips."""
    bytes_per_frame_squared: float = 0.0
    """Attention: 6 layers of 2 heads keep 7 float32 maps each."""

    @property
    def generation_bytes(self) -> float:
        """One checkpoint: weights and two AdamW moments of both modules, float32."""
        return 12.0 * (self.generator_parameters + self.discriminator_parameters)

    def item_bytes(self, longest_s: float, segment_frames: int = 0) -> float:
        """Activations of one item of a batch whose longest clip has `longest_s`. A clip of more than `LONGEST_FRAMES`
        is cut to `CUT_FRAMES`, as `core.engines.sovits.vits_recipe` does."""
        n_frames = longest_s * RATE_HZ / HOP
        n_frames = CUT_FRAMES if n_frames > LONGEST_FRAMES else n_frames
        decoded = (segment_frames or self.segment_frames) * self.bytes_per_segment_frame
        return decoded + n_frames * self.bytes_per_frame + n_frames**2 * self.bytes_per_frame_squared

    def memory_bytes(self, batch_size: int, longest_s: float, segment_frames: int = 0) -> float:
        """Weights, gradients, moments, and the activations of a batch."""
        kept = self.fixed_bytes + batch_size * self.item_bytes(longest_s, segment_frames)
        return BASE_BYTES + 4.0 / 3.0 * self.generation_bytes + PASSING * kept


RATE_HZ, HOP = 44100, 512
LONGEST_FRAMES, CUT_FRAMES = 800, 790
BASE_BYTES = 0.71e9
"""Process memory beside weights and activations: python and torch."""
PASSING = 1.17
"""Peak of activations by those that are kept: gradients on their way and work space come on top. Both numbers are from
trials on a CPU (`core.engines.sovits.trial`): tiny with 1 and 2 clips of 1.2 and 9.2 s."""

COSTS = {
    "standard": Cost(52.4e6, 46.8e6, 6, 20, 313e6, 8.53e6, 317.6e3, 336.0),
    "tiny": Cost(28.7e6, 46.8e6, 6, 20, 253e6, 7.39e6, 305.3e3, 336.0),
    "lite": Cost(2.8e6, 0.12e6, 10, 64, 112e6, 0.257e6),
}
_UNIT_BYTES_PER_S = 50 * 768 * 2 + 86 * 8
"""Features of a second of speech, by the widest encoder."""


def preflight(settings: Settings, options: TrainOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return common.resume(settings, options.resume, _full_bytes)
    accepted, checks = common.voice_clips(settings, options.voice)
    cost = COSTS[options.preset]
    seconds = sum(clip.duration_s for clip in accepted)
    longest_s = max((clip.duration_s for clip in accepted), default=0.0)
    parameters = cost.generator_parameters
    sizes = Sizes(
        *(cost.generation_bytes, 2.0 * parameters, 4.0 * parameters, seconds * _UNIT_BYTES_PER_S, options.probes)
    )
    batch = options.batch_size or cost.batch_size
    return [
        *checks,
        *common.clip_files(settings, options.voice, accepted),
        _encoder(settings, options),
        _pitch(options),
        *_features(settings, options, accepted),
        common.disk(settings, options, sizes),
        common.computes_on(settings, slow_on_cpu=options.preset != "lite"),
        common.memory(
            *(settings, batch, options.accumulate),
            lambda size: cost.memory_bytes(size, longest_s, options.segment_frames),
            longest_s,
        ),
        *common.computer(settings),
        common.others(settings),
        _start_from(settings, options),
    ]


def _full_bytes(info: RunInfo) -> float:
    return COSTS[info.preset].generation_bytes if info.preset in COSTS else 0.0


def tried(settings: Settings, options: TrainOptions) -> Check:
    """The memory line again, measured by a few steps on the longest clip in a process of its own. Takes seconds to
    minutes; needs no clips on disk but their lengths."""
    from core.engines.sovits.trial import measure_in_fresh_process

    accepted, _ = common.voice_clips(settings, options.voice)
    longest_s = max((clip.duration_s for clip in accepted), default=10.0)
    where = device.pick(settings.device)
    asked = options.batch_size or COSTS[options.preset].batch_size
    try:
        found = measure_in_fresh_process(options, where, longest_s)
    except StudioError as err:
        return Check("memory", "fail", err.message, err.hint)
    detail = (
        f"measured: {human_bytes(found['peak_bytes'])} and {found['step_s']:.2f} s a step "
        f"for batches of {found['batch_size']} on {where}"
    )
    if found["batch_size"] == asked:
        return Check("memory", "ok", detail)
    fix = f"Batches of {asked} do not fit; take {found['batch_size']} with {found['accumulate']} accumulated."
    return Check("memory", "warn", detail, fix)


def _features(settings: Settings, options: TrainOptions, accepted: "list[Clip]") -> list[Check]:
    """How many clips have features of this encoder and pitch in the cache; what is missing is made at the start."""
    if not accepted:
        return []
    found = 0
    for note in (settings.cache_dir / "features").glob("*/spec.json"):
        try:
            spec = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if spec.get("encoder") == options.encoder and spec.get("pitch") == options.pitch:
            there = sum((note.parent / f"{clip.sha256}.safetensors").is_file() for clip in accepted)
            found = max(found, there)
    missing = len(accepted) - found
    if missing:
        detail = f"{found} of {len(accepted)} clips have features; {missing} are made before training starts"
        return [Check("features", "ok", detail)]
    return [Check("features", "ok", "every clip has its features; each is checked against its clip when it is read")]


def _encoder(settings: Settings, options: TrainOptions) -> Check:
    from core.features.encoders import available

    infos = {info.name: info for info in available(settings)}
    info = infos.get(options.encoder)
    if info is None:
        return Check("encoder", "fail", f"'{options.encoder}' is unknown", f"Choose one of {', '.join(infos)}.")
    if not info.ready:
        return Check("encoder", "fail", f"'{info.name}' is not here", info.why_not)
    return Check("encoder", "ok", f"'{info.name}' is ready")


def _pitch(options: TrainOptions) -> Check:
    from core.features.pitch import PITCHES

    if options.pitch not in PITCHES:
        fix = f"Choose one of {', '.join(PITCHES)}."
        return Check("pitch", "fail", f"'{options.pitch}' is unknown", fix)
    return Check("pitch", "ok", f"'{options.pitch}'")


def _start_from(settings: Settings, options: TrainOptions) -> Check:
    if options.preset == "lite":
        without = Check("base model", "ok", "this preset starts from nothing")
    else:
        fix = "Choose a G_0.pth of so-vits-svc 4.1 to start from, or expect to train several times as long."
        without = Check("base model", "warn", "none chosen: the model starts from nothing", fix)
        dim = ENCODERS[options.encoder].dim if options.encoder in ENCODERS else 0
        tiny = options.preset == "tiny"
        generator, _ = base_pair(base_folder(settings, dim, vol=options.vol_embedding, tiny=tiny))
        if options.use_base and generator is not None:
            without = Check("base model", "ok", f"starts from {generator.name} of {generator.parent.name}")
    return common.weights_to_start_from(options, without)
