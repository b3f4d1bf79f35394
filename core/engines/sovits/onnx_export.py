"""A voice model as ONNX, for programs that run without torch.

The graph takes units, pitch and noise and gives audio, for any length, with the names that so-vits-svc's own export
uses (spec/so_vits_svc.md section 2), so that players of those files find what they look for. Nothing counts as
exported until onnxruntime has given the same audio as torch at two lengths, neither of them the traced one.
"""

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core import atomic
from core.engines.sovits.checkpoint import load_generator
from core.engines.sovits.config import HOP, SAMPLE_RATE_HZ, SovitsConfig, load_config
from core.engines.sovits.export import CARD_FILE, CONFIG_FILE, MODEL_FILE
from core.engines.sovits.lite import LiteGenerator
from core.engines.sovits.model import SovitsGenerator
from core.engines.sovits.onnx_graphs import LiteGraph, SovitsGraph
from core.engines.sovits.onnx_options import OnnxOptions, parse_options
from core.errors import BadInput, ModelFileError, NotFound, Unavailable
from core.paths import safe_name

if TYPE_CHECKING:
    from core.jobs.context import JobContext

OPSET = 18
TOLERANCE = 1e-3
"""Largest difference of a sample between torch and onnxruntime, full scale 1."""
_TRACED_FRAMES, _CHECKED_FRAMES = 37, (11, 64)
_RANDOM = ("RandomNormalLike", "RandomNormal", "RandomUniformLike", "RandomUniform")
# How so-vits-svc names the ONNX forms of its encoders; others go by their own name.
_ENCODER_FILES = {"vec768l12": "vec-768-layer-12", "vec256l9": "vec-256-layer-9"}


@dataclass(frozen=True)
class _Subject:
    """A model to export."""

    graph: nn.Module
    config: SovitsConfig
    mix: bool
    options: OnnxOptions
    card: dict[str, Any]

    @property
    def speakers(self) -> list[str]:
        """Names in the order of their rows."""
        return sorted(self.config.spk, key=lambda name: self.config.spk[name])

    @property
    def rows(self) -> int:
        """K: rows of the speaker table that a mixture can weigh."""
        return max(self.config.spk.values()) + 1

    def inputs(self, n_frames: int, seed: int = 0) -> dict[str, Tensor]:
        """Made-up inputs of n_frames frames, of about the size of real ones; S is a little smaller than T."""
        rng = np.random.default_rng(seed + n_frames)
        model = self.config.model
        n_units = max(2, n_frames * 4 // 7)

        def normal(*shape: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal(shape, np.float32))

        made = {
            "c": 0.5 * normal(1, n_units, model.ssl_dim),
            "f0": 220.0 * torch.exp2(0.3 * normal(1, n_frames)),
            "mel2ph": torch.arange(n_frames)[None] * n_units // n_frames + 1,
            "uv": (torch.arange(n_frames)[None] % 7 != 0).float(),
            "noise": normal(1, n_frames * HOP) if self.lite else 0.4 * normal(1, model.inter_channels, n_frames),
            "sid": torch.softmax(normal(n_frames, self.rows), 1) if self.mix else torch.tensor([self.rows - 1]),
        }
        if self.lite or model.vol_embedding:
            made["vol"] = 0.1 * normal(1, n_frames).abs()
        if self.options.source_noise and not self.lite:
            made["source_phase"] = torch.from_numpy(rng.random((1, 9), np.float32))
            made["source_noise"] = normal(1, n_frames * HOP, 9)
        return made

    @property
    def lite(self) -> bool:
        return isinstance(self.graph, LiteGraph)


def run_export_onnx(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Export one model.

    Args:
        params: fields of `OnnxOptions`.
        ctx: settings, progress, cancel. After a cancel nothing is left behind.

    Returns:
        {"onnx", "json", "inputs", "outputs", "opset", "largest_difference", "bytes", "speakers", "encoder"}.

    Raises:
        StudioError: what is wrong and what to do.
    """
    options = parse_options(params)
    _require_packages()
    weights, config_file = _files(options, ctx)
    subject = _subject(weights, config_file, options)
    name = safe_name(options.name or _name(options, weights), "voice")
    folder = Path(options.out) if options.out else ctx.settings.outputs / "onnx"
    target = folder / name / f"{name}_SoVits.onnx"
    ctx.progress(0.1, "tracing")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(target) as temporary:
        _write_graph(subject, temporary)
        ctx.progress(0.8, "comparing with torch")
        difference = _largest_difference(subject, temporary, ctx)
    card = folder / f"{name}.json"
    atomic.write_json(card, _metadata(subject, name))
    return {
        "onnx": str(target),
        "json": str(card),
        "inputs": list(subject.inputs(4)),
        "outputs": _output_names(subject),
        "opset": OPSET,
        "largest_difference": difference,
        "bytes": target.stat().st_size,
        "speakers": subject.speakers,
        "encoder": _encoder(subject),
    }


def _require_packages() -> None:
    import importlib.util

    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"ONNX export needs the package {' and '.join(missing)}.",
            "Install it into the studio's environment: pip install onnx onnxscript.",
            where="onnx",
        )


def _files(options: OnnxOptions, ctx: "JobContext") -> tuple[Path, Path]:
    """The weights and the config of what is to be exported. Raises NotFound."""
    if options.weights:
        weights = Path(options.weights)
        config = Path(options.config) if options.config else weights.with_name(CONFIG_FILE)
        for path, what in ((weights, "model"), (config, "config")):
            if not path.is_file():
                raise NotFound(f"There is no {what} {path}.", "Choose a G_*.pth and its config.json.", where=what)
        return weights, config
    from core.dataset.voices import VoiceStore
    from core.engines.sovits.convert import find_model

    folder = find_model(VoiceStore(ctx.settings.voices_dir).get(str(options.voice)), options.model)
    return folder / MODEL_FILE, folder / CONFIG_FILE


def _subject(weights: Path, config_file: Path, options: OnnxOptions) -> _Subject:
    config = load_config(config_file)
    # "cpu:0" is the CPU by another name: the decoder keeps the form that can be traced.
    generator = load_generator(weights, config, for_inference=True, device="cpu:0")
    mix = len(config.spk) > 1 if options.mix is None else options.mix
    card_file = weights.with_name(CARD_FILE)
    card = json.loads(card_file.read_text(encoding="utf-8")) if card_file.is_file() else {}
    if isinstance(generator, LiteGenerator):
        if options.predict_f0:
            raise BadInput("A lite model cannot predict pitch.", "Leave predict_f0 off.", where="predict_f0")
        return _Subject(LiteGraph(generator), config, mix, options, card)
    assert isinstance(generator, SovitsGenerator)
    if options.predict_f0 and not generator.predicts_f0:
        raise BadInput("This model was built without automatic pitch.", "Leave predict_f0 off.", where="predict_f0")
    return _Subject(SovitsGraph(generator, predict_f0=options.predict_f0), config, mix, options, card)


def _name(options: OnnxOptions, weights: Path) -> str:
    return options.voice or (weights.parent.name if weights.name == MODEL_FILE else weights.stem)


def _write_graph(subject: _Subject, path: Path) -> None:
    """Trace the graph and save it as one file (weights inside)."""
    subject.graph.eval()
    example = subject.inputs(_TRACED_FRAMES)
    with torch.inference_mode():
        subject.graph(**example)  # constants that modules keep are made here, not as symbols in the trace
    frames, units = torch.export.Dim("frames", min=2), torch.export.Dim("units", min=2)
    sizes: dict[str, dict[int, Any]] = {
        "c": {1: units},
        "noise": {1: HOP * frames} if subject.lite else {2: frames},
        "sid": {0: frames} if subject.mix else {},
        "source_phase": {},
        "source_noise": {1: HOP * frames},
    }
    # The tracer warns of its own insides, none of which a person could change.
    loud = logging.getLogger("torch.onnx")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                subject.graph,
                (),
                kwargs=example,
                dynamic_shapes={name: sizes.get(name, {1: frames}) for name in example},
                input_names=list(example),
                output_names=_output_names(subject),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    finally:
        loud.setLevel(level)
    assert program is not None
    program.model.metadata_props.update(
        {
            "encoder": _encoder(subject),
            "encoder_fingerprint": str(subject.card.get("encoder_fingerprint", "")),
            "rate_hz": str(SAMPLE_RATE_HZ),
            "hop_samples": str(HOP),
            "speakers": json.dumps(subject.config.spk, ensure_ascii=False),
            "unit_interpolate_mode": subject.config.data.unit_interpolate_mode,
        }
    )
    program.save(str(path), external_data=False)


def _output_names(subject: _Subject) -> list[str]:
    return ["audio", "f0_used"] if subject.options.predict_f0 else ["audio"]


def _encoder(subject: _Subject) -> str:
    return str(subject.card.get("encoder") or subject.config.model.speech_encoder)


def _metadata(subject: _Subject, name: str) -> dict[str, Any]:
    """What players of so-vits-svc's ONNX files read beside the model (spec section 2)."""
    encoder = _encoder(subject)
    return {
        "Folder": name,
        "Name": name,
        "Type": "SoVits",
        "Rate": SAMPLE_RATE_HZ,
        "Hop": HOP,
        "Hubert": _ENCODER_FILES.get(encoder, encoder),
        "SoVits4": True,
        "SoVits3": False,
        "CharaMix": subject.mix,
        "Volume": "vol" in subject.inputs(4),
        "HiddenSize": subject.config.model.ssl_dim,
        "Characters": subject.speakers,
        "Cluster": "",
    }


def _largest_difference(subject: _Subject, path: Path, ctx: "JobContext") -> float:
    """Between torch and onnxruntime, at lengths that were not traced. Raises ModelFileError above `TOLERANCE`."""
    session, drawn = _session(path)
    worst = 0.0
    for n_frames in _CHECKED_FRAMES:
        ctx.check()
        inputs = subject.inputs(n_frames, seed=1)
        fed = {name: value.numpy() for name, value in inputs.items()}
        found = dict(zip([o.name for o in session.get_outputs()], session.run(None, fed), strict=True))
        inputs |= {name: torch.from_numpy(found[output]) for name, output in drawn.items()}
        with torch.inference_mode():
            wanted = subject.graph(**inputs)[0].numpy()
        audio: NDArray[np.float32] = found["audio"]
        same = audio.shape == wanted.shape and bool(np.isfinite(audio).all())
        worst = max(worst, float(np.abs(audio - wanted).max())) if same else np.inf
    if worst > TOLERANCE:
        raise ModelFileError(
            f"The ONNX file does not sound like the model: samples differ by up to {worst:.2g}.",
            "Nothing was written. Please report this with the model's config.json.",
            where=str(path),
        )
    return worst


def _session(path: Path) -> tuple[Any, dict[str, str]]:
    """A session that also gives the random numbers which the graph draws, and where: {input of ours: output name}."""
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    drawn: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type in _RANDOM:
            name = "source_phase" if node.op_type.startswith("RandomUniform") else "source_noise"
            drawn[name] = node.output[0]
            model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source: Any = model.SerializeToString() if drawn else str(path)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"]), drawn
