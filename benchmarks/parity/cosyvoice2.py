"""CosyVoice2 and 3: language model, flow and vocoder, from pairs `X.safetensors` and `X.json` (with the "upstream").

What a pair holds shows in the names of its tensors, whatever stands before them; sizes come from the shapes of its
weights, or of those of another pair: of this folder, of the folders beside it, or of the shared fixtures.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, EXACT, IO_SUFFIX, Case, Folder, Quantity, Sheet, decoded, read_json
from benchmarks.parity.cosyvoice2_models import flow_of, hift_of, weights_under
from benchmarks.parity.cosyvoice2_sessions import upstream_source
from benchmarks.parity.cosyvoice2_speech import check_language_model, check_sampling
from benchmarks.parity.cosyvoice2_whole import Whole
from core.engines.cosyvoice2.encoder import sinusoid
from core.engines.cosyvoice2.flow import Flow, times
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.source import harmonics, sample_phases, turns_a_sample
from core.engines.cosyvoice2.streaming import Grid, begin
from core.engines.cosyvoice2.unet import time_encoding
from core.paths import REPO_ROOT

_MARKERS = {"flow": "input_embedding.weight", "hift": "conv_pre.bias", "llm": "llm_decoder.weight"}
_BUILDERS = {"flow": flow_of, "hift": hift_of}
_SEEDED = re.compile(r"seed_?(\d+)")
_SHARED = REPO_ROOT.parent / "shared" / "fixtures" / "cosyvoice2"


@dataclass(frozen=True)
class Pair:
    """A case's tensors, and what is said about them."""

    stem: str
    info: dict[str, Any]
    tensors: dict[str, Tensor]

    def weights(self, kind: str) -> tuple[dict[str, Tensor], list[str]]:
        """The weights of a `flow`, `hift` or `llm`, and their names in full; empty where it holds none."""
        return weights_under(self.tensors, _MARKERS[kind])

    @property
    def weight_names(self) -> set[str]:
        """Names of all its weights."""
        return {name for kind in _MARKERS for name in self.weights(kind)[1]}


def find(folder: Folder) -> list[Case]:
    """Cases of the pairs of this project; a pair of weights alone serves the others and is loaded on its own too."""
    pairs = _pairs(folder)
    for pair in pairs:
        folder.take(f"{pair.stem}.json", f"{pair.stem}.safetensors")
    return [Case("cosyvoice", pair.stem, partial(_run, pair, pairs, folder.path)) for pair in pairs]


def _pairs(folder: Folder) -> list[Pair]:
    from safetensors import safe_open

    def read(path: Path) -> Pair:
        with safe_open(path, "pt") as file:
            info = {name: decoded(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        described = path.with_suffix(".json")
        said = read_json(described) if described.is_file() else {}
        return Pair(path.stem, {**info, **(said if isinstance(said, dict) else {"said": said})}, tensors)

    names = [name for name in folder.names(".safetensors") if not name.endswith((IO_SUFFIX, ".weights.safetensors"))]
    found = [folder.open(name, read) for name in names]
    return [pair for pair in found if pair is not None]


@dataclass
class Models:
    """The models of one try: the n-th flow and the n-th vocoder that there are weights for."""

    sources: dict[str, list[Pair]]
    choice: dict[str, int]
    searches: bool
    _built: dict[str, Any] = field(default_factory=dict)

    def _get(self, kind: str) -> Any:
        if kind not in self._built:
            if not self.sources[kind]:
                raise ValueError(f"neither this folder nor one beside it holds the weights of a {kind}")
            source = self.sources[kind][self.choice[kind]]
            self._built[kind] = _BUILDERS[kind](source.weights(kind)[0], source.info)
        return self._built[kind]

    def flow(self) -> Flow:
        """Speech tokens to mel."""
        flow: Flow = self._get("flow")
        return flow

    def hift(self) -> Hift:
        """Mel to audio."""
        hift: Hift = self._get("hift")
        return hift


def _beside(path: Path) -> list[Pair]:
    """Pairs of the folders beside one, and of the shared fixtures."""
    around = [p for p in sorted(path.resolve().parent.iterdir()) if p.is_dir() and p != path.resolve()]
    return [pair for place in [*around, _SHARED] if place.is_dir() for pair in _pairs(Folder(place))]


def _sources(kind: str, pair: Pair, pairs: list[Pair], path: Path) -> list[Pair]:
    """Pairs with weights of a kind: its own, else those that hold nothing else first."""
    if pair.weights(kind)[1]:
        return [pair]
    here = [other for other in pairs if other.weights(kind)[1]]
    here.sort(key=lambda other: len(other.weight_names) != len(other.tensors))
    return here or [other for other in _beside(path) if other.weights(kind)[1]]


def _run(pair: Pair, pairs: list[Pair], path: Path) -> list[Quantity]:
    """The comparisons with the models that fit best, where a folder has several and the pair none of its own."""
    sources = {kind: _sources(kind, pair, pairs, path) for kind in _BUILDERS}
    best: list[Quantity] = []
    error: Exception | None = None
    choices = list(product(*(range(max(1, len(sources[kind]))) for kind in _BUILDERS)))
    # Seeds that no one names are searched for only where no weights fit without.
    for searches, choice in product((False, True), choices):
        models = Models(sources, dict(zip(_BUILDERS, choice, strict=True)), searches)
        sheet = Sheet(pair.tensors)
        try:
            with torch.inference_mode():
                _check(pair, sheet, models)
        except (RuntimeError, ValueError, IndexError) as err:  # sizes of another model, perhaps
            error = err
            continue
        found = sheet.close()
        if not best or sum(q.passed for q in found) > sum(q.passed for q in best):
            best = found
        if all(quantity.passed for quantity in found):
            break
    if not best and error:
        raise error
    return best


def _check(pair: Pair, sheet: Sheet, models: Models) -> None:
    """Everything that a pair may hold, in turn; each takes what it knows."""
    sheet.ignore(*pair.weight_names)
    for kind in _BUILDERS:
        if pair.weights(kind)[1] and not sheet.left():
            models._get(kind)
            sheet.found.append(Quantity(f"{kind} loads strictly", 0.0, EXACT))
    check_language_model(sheet, pair.info, pair.weights("llm")[0])
    check_sampling(sheet, pair.info)
    names = set(sheet.left())
    if names and {"f0_frames", "sine"} <= names:
        _sines(sheet)
    if _has(sheet, "x", "context") or _has(sheet, "x", "prelook_final"):
        _encoder(pair, sheet, models)
    if _has(sheet, "mu", "spk", "cond"):
        _solver(sheet, models)
    if "mel" in names and any(name.endswith("source") and _SEEDED.search(name) for name in names):
        _vocoder(sheet, models.hift())
    if sheet.left():
        Whole(sheet, pair.info, models.flow, models.hift, searches=models.searches).run()


def _named(sheet: Sheet, role: str) -> str:
    """The value of that name, whatever stands before it; the role itself where there is none."""
    return next((name for name in sheet.values if re.search(rf"(^|[._/]){re.escape(role)}$", name)), role)


def _has(sheet: Sheet, *roles: str) -> bool:
    return all(_named(sheet, role) in sheet.left() for role in roles)


def _encoder(pair: Pair, sheet: Sheet, models: Models) -> None:
    flow = models.flow()
    x = sheet.given(_named(sheet, "x"))
    context = sheet.given(_named(sheet, "context")) if _has(sheet, "context") else None
    length = x.shape[1]
    whole = begin(length, Grid(), None, x.device)
    unet = hasattr(flow, "encoder")
    look_ahead = flow.encoder.pre_lookahead_layer if unet else flow.pre_lookahead_layer
    for name, ahead in (("final", None), ("ctx", context)):
        if name == "final" or context is not None:
            # Upstream's look-ahead was measured on the input itself.
            sheet.check(_named(sheet, f"prelook_{name}"), look_ahead(x, ahead, whole), AUDIO)
    if not unet:
        return
    block = int(pair.info.get("static_chunk", flow.config.block))
    sheet.check(_named(sheet, "embed_out"), flow.encoder.embed(x), AUDIO)
    sheet.check(_named(sheet, "pos_emb"), sinusoid(torch.arange(length - 1, -length, -1), flow.encoder.dim), AUDIO)
    for stream, name in product((0, 1), ("final", "ctx")):
        ahead = context if name == "ctx" else None
        ours = flow.encoder(x, ahead, Grid(block) if stream else Grid())
        sheet.check(_named(sheet, f"out_stream{stream}_{name}"), ours, AUDIO)


def _solver(sheet: Sheet, models: Models) -> None:
    flow = models.flow()
    mu, spk, cond = (sheet.given(_named(sheet, name)) for name in ("mu", "spk", "cond"))
    n_frames = mu.shape[2]
    for name in [name for name in sheet.values if "noise_first" in name]:
        sheet.check(name, flow.noise.frames(0, sheet.values[name].shape[2]), EXACT)
    span = _named(sheet, "t_span")
    sheet.check(span, times(sheet.values[span].numel() - 1 if span in sheet else 10), AUDIO)
    doubled = [torch.cat([part, torch.zeros_like(part)]) for part in (mu, spk, cond)]
    estimates = _has(sheet, "est_x", "est_t")
    for stream in (0, 1):
        grid = Grid(flow.config.block * flow.config.token_mel_ratio) if stream else Grid()
        if estimates:
            t, time_emb = sheet.given(_named(sheet, "est_t")), _named(sheet, "time_emb")
            if time_emb in sheet and stream == 0:
                sheet.check(time_emb, time_encoding(t, sheet.values[time_emb].shape[1]), AUDIO)
            chunk = begin(n_frames, grid, None, mu.device)
            x = sheet.given(_named(sheet, "est_x"))
            ours = flow.decoder.estimator(x, doubled[0], t, doubled[1], doubled[2], chunk)
            sheet.check(_named(sheet, f"est_stream{stream}"), ours, AUDIO)
        ours = flow.solve(flow.noise.frames(0, n_frames), mu, spk, cond, grid)
        sheet.check(_named(sheet, f"cfm_stream{stream}"), ours, AUDIO)


def _vocoder(sheet: Sheet, hift: Hift) -> None:
    mel = sheet.given("mel")
    f0 = hift.pitch(mel)
    sheet.check("f0", f0, AUDIO, note="Hz")
    sheet.check("stft_window", hift.window, AUDIO)
    sources = [
        name for name in sheet.values if name.endswith("source") and sheet.values[name].shape[-1] == 480 * len(f0)
    ]
    plain = [name for name in sources if "cache" not in name and not name.startswith("decode")]
    for name in sources:
        if name.startswith("decode"):
            continue
        given = sheet.values[name]
        seed = _SEEDED.search(name)
        ours = upstream_source(hift, f0, int(seed[1]))[0] if seed else given
        # A cached start replaces the first samples; how many shows where the two part for good.
        same = 0 if name in plain else int(((ours - given).abs().flatten() > AUDIO).nonzero().max()) + 1
        sheet.check(
            name, torch.cat([given[..., :same], ours[..., same:]], dim=-1), AUDIO, note=f"{same} samples cached"
        )
        sheet.check(name.removesuffix("source") + "wav", hift.decode(mel, given), AUDIO)
    if plain:
        source = sheet.values[plain[0]]
        sheet.check("decode_given_source", hift.decode(mel, source), AUDIO)
        spectrum = torch.stft(
            source[0], hift.config.n_fft, hift.config.hop_len, window=hift.window, return_complex=True
        )
        sheet.check("source_stft_real", spectrum.real, AUDIO)
        sheet.check("source_stft_imag", spectrum.imag, AUDIO)
    voiced = (f0 > hift.config.nsf_voiced_threshold).float().repeat_interleave(hift.config.hop)
    sheet.check("sinegen_uv", voiced, EXACT)
    for name in [name for name in sheet.values if re.fullmatch(r"sinegen_seed\d+", name)]:
        sheet.check(name, upstream_source(hift, f0, int(name.removeprefix("sinegen_seed")))[1], AUDIO)


def _sines(sheet: Sheet) -> None:
    f0 = sheet.given("f0_frames")
    n_harmonics = sheet.values["sine"].shape[-1]
    hop = sheet.values["sine"].shape[-2] // len(f0)
    phases, held = sample_phases(turns_a_sample(f0, n_harmonics, 24000), hop, None), f0.repeat_interleave(hop)
    bare = harmonics(phases, held, torch.zeros(len(held), n_harmonics), 0.1, 0.003, 10)
    sheet.check("sine_minus_noise", bare, AUDIO)
    sheet.check("uv", (held > 10).float(), EXACT)
    if "noise" in sheet:
        sheet.check("sine", bare + sheet.given("noise").reshape(bare.shape), AUDIO)
