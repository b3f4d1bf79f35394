"""CosyVoice2 and 3: language model, flow and vocoder, from pairs `X.json` (with the "upstream") and `X.safetensors`.

What a pair is shows in the names of its tensors; sizes come from the shapes of its weights, or of those that another
pair of the folder holds. Whole flows are told apart by their inputs and lengths.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, EXACT, Case, Folder, Quantity, Sheet, compare
from benchmarks.parity.cosyvoice2_models import flow_of, hift_of, weights_under
from benchmarks.parity.cosyvoice2_sessions import upstream_chunks, upstream_whole
from core.engines.cosyvoice2.config import LanguageModelConfig
from core.engines.cosyvoice2.decoding import Decoding, Interleaved, WholeText
from core.engines.cosyvoice2.encoder import sinusoid
from core.engines.cosyvoice2.flow import Flow, Prompt, times
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import UNUSED, LanguageModel
from core.engines.cosyvoice2.sampling import RepetitionAwareSampler, nucleus
from core.engines.cosyvoice2.source import harmonics, sample_phases, turns_a_sample
from core.engines.cosyvoice2.streaming import Grid, begin
from core.engines.cosyvoice2.unet import time_encoding
from core.models.safe_load import strict_load

_STREAM = re.compile(r"stream(?:ing)?_?([01])")
_SEEDED = re.compile(r"seed_?(\d+)")
_LONGEST = 60  # the cases' sampler ends there: arg-max otherwise


@dataclass(frozen=True)
class Pair:
    """A case's two files."""

    stem: str
    info: dict[str, Any]
    tensors: dict[str, Tensor]


def find(folder: Folder) -> list[Case]:
    """Cases of the pairs of this project; a pair of weights alone serves the others and is loaded on its own too."""
    pairs = _pairs(folder)
    cases = []
    for pair in pairs:
        for needed, check in _CHECKS:
            if needed(pair):
                folder.take(f"{pair.stem}.json", f"{pair.stem}.safetensors")
                cases.append(Case("cosyvoice", pair.stem, partial(_run, pair, check, pairs)))
                break
    return cases


def _pairs(folder: Folder) -> list[Pair]:
    from safetensors.torch import load_file

    pairs = []
    for name in folder.names(".safetensors"):
        stem = name.removesuffix(".safetensors")
        described = folder.path / f"{stem}.json"
        if not described.is_file():
            continue
        info = json.loads(described.read_text("utf-8"))
        if isinstance(info, dict) and ("CosyVoice" in json.dumps(info) or "SineGen2" in json.dumps(info)):
            pairs.append(Pair(stem, info, load_file(Path(folder.path) / name)))
    return pairs


def _run(pair: Pair, check: Callable[[Pair, Sheet, list[Pair]], None], pairs: list[Pair]) -> list[Quantity]:
    sheet = Sheet(pair.tensors)
    with torch.inference_mode():
        check(pair, sheet, pairs)
    return sheet.close()


def _model(kind: str, pair: Pair, pairs: list[Pair], sheet: Sheet) -> Any:
    """The model of the pair's own weights, or of those of another pair."""
    build, marker = (flow_of, "input_embedding.weight") if kind == "flow" else (hift_of, "conv_pre.bias")
    for source in [pair, *pairs]:
        weights, names = weights_under(source.tensors, marker)
        if weights:
            if source is pair:
                sheet.ignore(*names)
            return build(weights, source.info)
    raise ValueError(f"no pair of the folder holds the weights of a {kind}")


def _weights(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    for kind in ("flow", "hift"):
        if _holds(pair, "input_embedding.weight" if kind == "flow" else "conv_pre.bias"):
            _model(kind, pair, [], sheet)
            sheet.found.append(Quantity(f"{kind} loads strictly", 0.0, EXACT))


def _encoder(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    flow: Flow = _model("flow", pair, pairs, sheet)
    x, context = sheet.given("x"), sheet.given("context")
    block = int(pair.info.get("static_chunk", flow.config.block))
    length = x.shape[1]
    sheet.check("embed_out", flow.encoder.embed(x), AUDIO)
    sheet.check("pos_emb", sinusoid(torch.arange(length - 1, -length, -1), flow.encoder.dim), AUDIO)
    whole = begin(length, Grid(), None, x.device)
    for name, ahead in (("final", None), ("ctx", context)):
        # Upstream's look-ahead was measured on the input itself.
        sheet.check(f"prelook_{name}", flow.encoder.pre_lookahead_layer(x, ahead, whole), AUDIO)
        for stream in (0, 1):
            grid = Grid(block) if stream else Grid()
            sheet.check(f"out_stream{stream}_{name}", flow.encoder(x, ahead, grid), AUDIO)


def _solver(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    flow: Flow = _model("flow", pair, pairs, sheet)
    mu, spk, cond = (sheet.given(name) for name in ("mu", "spk", "cond"))
    n_frames = mu.shape[2]
    for name in [name for name in sheet.values if name.startswith("noise_first")]:
        sheet.check(name, flow.noise.frames(0, sheet.values[name].shape[2]), EXACT)
    sheet.check("t_span", times(), AUDIO)
    doubled = [torch.cat([part, torch.zeros_like(part)]) for part in (mu, spk, cond)]
    for stream in (0, 1):
        grid = Grid(flow.config.block * flow.config.token_mel_ratio) if stream else Grid()
        if "est_x" in sheet:
            t = sheet.given("est_t")
            if "time_emb" in sheet:
                sheet.check("time_emb", time_encoding(t, sheet.values["time_emb"].shape[1]), AUDIO)
            chunk = begin(n_frames, grid, None, mu.device)
            ours = flow.decoder.estimator(sheet.given("est_x"), doubled[0], t, doubled[1], doubled[2], chunk)
            sheet.check(f"est_stream{stream}", ours, AUDIO)
        sheet.check(f"cfm_stream{stream}", flow.solve(flow.noise.frames(0, n_frames), mu, spk, cond, grid), AUDIO)


@dataclass(frozen=True)
class _Said:
    """What a whole flow is given."""

    tokens: Tensor
    prompt: Prompt


def _said(sheet: Sheet, flow: Flow) -> _Said:
    """Inputs by their kind: integers are tokens, a row as long as a speaker's is one, a prompt's mel is called so."""
    tokens = prompt = torch.empty(1, 0, dtype=torch.long)
    embedding, mel = torch.zeros(1, flow.config.spk_embed_dim), torch.empty(1, flow.config.output_size, 0)
    for name in sheet.left():
        value = sheet.values[name]
        if not value.is_floating_point():
            value = sheet.given(name).reshape(1, -1).long()
            if value.shape[1] == 1 and "len" in name:
                continue
            if "prompt" in name:
                prompt = value
            else:
                tokens = value
        elif value.numel() == flow.config.spk_embed_dim:
            embedding = sheet.given(name).reshape(1, -1)
        elif "prompt" in name:
            mel = sheet.given(name).reshape(-1, *value.shape[-2:])
            mel = mel if mel.shape[1] == flow.config.output_size else mel.transpose(1, 2)
    return _Said(tokens, Prompt(prompt, mel, embedding))


def _whole_flow(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    flow: Flow = _model("flow", pair, pairs, sheet)
    if _holds(pair, "conv_pre.bias"):
        _model("hift", pair, [], sheet)
    if _decodes(pair):
        _vocoder(pair, sheet, pairs)
    said = _said(sheet, flow)
    sounds = []
    for name in sheet.left():
        value = sheet.values[name]
        if value.numel() == flow.config.output_size:
            sheet.check(name, flow.speaker(said.prompt.embedding), AUDIO)
        elif value.dim() >= 2 and flow.config.output_size in value.shape[-2:]:
            sheet.check(name, *_nearest_mel(flow, said, name, value))
        elif value.shape[-1] % 480 == 0:
            sounds.append(name)
    if sounds:
        hift: Hift = _model("hift", pair, pairs, sheet)
        made = _sounds(flow, hift, said, pair.info)
        for name in sounds:
            sheet.check(name, *_nearest_sound(made, name, sheet.values[name]))


def _sounds(flow: Flow, hift: Hift, said: _Said, info: Any) -> list[tuple[str, Tensor]]:
    """What upstream's token2wav gives, chunk by chunk and joined, whole, and at other speeds, for each seed named."""
    made = []
    for seed in sorted(_numbers(info, "seed") | {0}):
        torch.manual_seed(int(seed))
        chunks = list(upstream_chunks(flow, hift, upstream_source, said.tokens, said.prompt))
        made += [(f"seed {seed}, chunk {n}", chunk) for n, chunk in enumerate(chunks)]
        made.append((f"seed {seed}, all chunks", torch.cat(chunks, dim=-1)))
        for speed in sorted(_numbers(info, "speed") | {1.0, 1.25}):
            torch.manual_seed(int(seed))
            sound = upstream_whole(flow, hift, upstream_source, said.tokens, said.prompt, speed)
            made.append((f"seed {seed}, whole, speed {speed}", sound))
    return made


def _numbers(info: Any, name: str) -> set[float]:
    """Every number under a key that contains `name`, however deep."""
    found: set[float] = set()
    if isinstance(info, dict):
        for key, value in info.items():
            if name in str(key) and isinstance(value, int | float):
                found.add(value)
            found |= _numbers(value, name)
    elif isinstance(info, list):
        for value in info:
            found |= _numbers(value, name)
    return found


def _nearest_sound(made: list[tuple[str, Tensor]], name: str, theirs: Tensor) -> tuple[Tensor, float, str, str]:
    found = [(compare(name, ours, theirs, AUDIO).difference, note, ours) for note, ours in made]
    fitting = [item for item in found if item[2].numel() == theirs.numel()]
    if not fitting:
        return torch.empty(0), AUDIO, "", "no way of streaming gives this length"
    _, note, ours = min(fitting, key=lambda item: item[0])
    return ours, AUDIO, "", note


def _nearest_mel(flow: Flow, said: _Said, name: str, expected: Tensor) -> tuple[Tensor, float, str, str]:
    """Our mel of the length of `expected`, of the mode that the name says, or of the nearest mode."""
    theirs = expected.reshape(-1, *expected.shape[-2:])
    theirs = theirs if theirs.shape[1] == flow.config.output_size else theirs.transpose(1, 2)
    mode = _STREAM.search(name)
    modes = [bool(int(mode[1]))] if mode else [False, True]
    found = []
    for block in modes:
        for final in (True, False):
            mel = flow.mel(said.tokens, said.prompt, block=block, final=final)
            for offset in range(0, mel.shape[2] - theirs.shape[2] + 1, flow.config.token_mel_ratio):
                ours = mel[..., offset : offset + theirs.shape[2]]
                note = f"{'block' if block else 'full'} masks, {'the end' if final else 'more to come'}, from {offset}"
                found.append((compare(name, ours, theirs, AUDIO).difference, note, ours))
    if not found:
        return torch.empty(0), AUDIO, "", "no mode gives this length"
    _, note, ours = min(found, key=lambda item: item[0])
    return (ours if ours.shape[1:] == expected.shape[-2:] else ours.transpose(1, 2)), AUDIO, "", note


def upstream_source(hift: Hift, f0: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """The excitation [1, 1, N] and its harmonics [N, H], with upstream's draws and its float32 phase.

    Draws come from the global generator, seeded first unless `seed` is None: nine phases, which the resampling to
    frames then loses, noise into transposed memory, and noise that nothing uses.
    """
    if seed is not None:
        torch.manual_seed(seed)
    config, n_samples = hift.config, len(f0) * hift.config.hop
    torch.rand(1, hift.n_harmonics)
    noise = torch.empty(1, hift.n_harmonics, n_samples).transpose(1, 2).normal_()[0]
    torch.randn(1, n_samples, 1)
    turns = turns_a_sample(f0, hift.n_harmonics, config.sampling_rate)
    frames = (torch.cumsum(turns, 0) * 2 * torch.pi * config.hop).T[None]
    radians = torch.nn.functional.interpolate(frames, scale_factor=float(config.hop), mode="linear")[0].T
    voiced = (f0.repeat_interleave(config.hop) > config.nsf_voiced_threshold).float()[:, None]
    level = voiced * config.nsf_sigma + (1 - voiced) * config.nsf_alpha / 3
    sines = config.nsf_alpha * torch.sin(radians) * voiced + level * noise
    return hift.mix(sines), sines


def _vocoder(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    hift: Hift = _model("hift", pair, pairs, sheet)
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


def _sines(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    f0 = sheet.given("f0_frames")
    n_harmonics = sheet.values["sine"].shape[-1]
    hop = sheet.values["sine"].shape[-2] // len(f0)
    phases, held = sample_phases(turns_a_sample(f0, n_harmonics, 24000), hop, None), f0.repeat_interleave(hop)
    bare = harmonics(phases, held, torch.zeros(len(held), n_harmonics), 0.1, 0.003, 10)
    sheet.check("sine_minus_noise", bare, AUDIO)
    sheet.check("uv", (held > 10).float(), EXACT)
    if "noise" in sheet:
        sheet.check("sine", bare + sheet.given("noise").reshape(bare.shape), AUDIO)


def _sampling(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    logits, params = sheet.given("logits"), pair.info.get("params", {})
    config = LanguageModelConfig(speech_tokens=logits.shape[1] - 3, **params)
    for case in pair.info["cases"]:
        row, i = logits[case["i"]], case["i"]
        probabilities, ids = nucleus(row.log_softmax(0).softmax(0), config.top_p, config.top_k)
        generator = torch.Generator().manual_seed(case["seed"])
        first = ids[torch.multinomial(probabilities, 1, replacement=True, generator=generator)]
        generator.manual_seed(case["seed"])
        picked = RepetitionAwareSampler(config, generator)(row, case["decoded"], ())
        ours = [len(ids), int(first), picked, int(picked != int(first))]
        theirs = [case[key] for key in ("nucleus_size", "nucleus_pick", "ras_pick", "resampled")]
        sheet.found.append(compare(f"case {i}", ours, [float(value) for value in theirs], EXACT))


def _language_model(pair: Pair, sheet: Sheet, pairs: list[Pair]) -> None:
    from transformers import Qwen2Config

    weights, names = weights_under(pair.tensors, "llm_decoder.weight")
    sheet.ignore(*names)
    speech_tokens = int(pair.info["speech_token_size"])
    own = "llm_embedding.weight" in weights
    config = LanguageModelConfig(
        speech_tokens=speech_tokens,
        extra_ids=weights["llm_decoder.weight"].shape[0] - speech_tokens,
        own_embedding=own,
        mix_ratio=tuple(pair.info.get("mix_ratio", (5, 15))),
    )
    model = LanguageModel(config, Qwen2Config(**pair.info["qwen"])).eval()
    strict_load(model, weights, pair.stem, may_ignore=UNUSED)
    text, prompt_text, prompt_speech = (
        sheet.given(name).flatten().tolist() if name in sheet else []
        for name in ("text", "prompt_text", "prompt_speech")
    )
    for name in [name for name in sheet.values if name.startswith("hidden_text")]:
        parts = [model.start(), model.text(text[: int(name.removeprefix("hidden_text"))]), model.task()]
        hidden = model.trunk(inputs_embeds=torch.cat(parts, dim=1)).last_hidden_state
        sheet.check(name, hidden, AUDIO)
        sheet.check(name.replace("hidden", "logp"), model.llm_decoder(hidden).log_softmax(-1), AUDIO)
    for name, result in pair.info["results"].items():
        sheet.found += _decoded(model, name, result, text, prompt_text, prompt_speech)


def _decoded(
    model: LanguageModel, name: str, result: Any, text: list[int], prompt_text: list[int], prompt_speech: list[int]
) -> list[Quantity]:
    """One token list: right as we decode; where upstream's own trace is known, that too, with its bugs."""
    given: Mapping[str, Any] = result if isinstance(result, dict) else {"tokens": result}
    spoken = prompt_speech if "noprompt" not in name and "prompt" in name else []
    said = prompt_text if spoken else []
    short = re.search(r"short(\d+)", name)
    text = text[: int(short[1])] if short else text
    if "steps" not in given:
        tokens, _ = _greedy(WholeText, model, text, said, spoken, upstream=False)
        return [_exact(f"{name}: tokens", tokens, given["tokens"])]
    steps = [tuple(step) for step in given["steps"]]
    # A case that ran out of text does not say how much it had: the first call of the model does.
    choices = [(len(said), len(text))]
    if "starved" in name:
        choices = [(a, b) for a in range(len(said) + 1) for b in range(1, len(text) + 1) if a + b < steps[0][0]]
    for a, b in choices:
        tokens, fed = _greedy(Interleaved, model, text[:b], said[:a], spoken, upstream=True)
        if tokens == given["tokens"] and fed == steps:
            break
    found = [
        _exact(f"{name}: tokens with upstream's bugs", tokens, given["tokens"]),
        _exact(f"{name}: calls with upstream's bugs", [n for step in fed for n in step], [n for s in steps for n in s]),
    ]
    tokens, right = _greedy(Interleaved, model, text[:b], said[:a], spoken, upstream=False)
    if right[:-1] == steps[: len(right) - 1] and right[0] == steps[0]:
        # Nothing but a repeated last token can differ, and that only after the end of the list.
        found.append(_exact(f"{name}: tokens, corrected", tokens, given["tokens"]))
    else:
        n_dropped = right[0][0] - steps[0][0]
        note = f"prompt speech that upstream drops: {n_dropped} tokens"
        found.append(Quantity(f"{name}: corrected", 0.0 if n_dropped > 0 else float("inf"), EXACT, note))
    return found


def _greedy(
    kind: type[Decoding], model: LanguageModel, text: list[int], said: list[int], spoken: list[int], *, upstream: bool
) -> tuple[list[int], list[tuple[int, int]]]:
    def sampler(logits: Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
        if not banned and len(decoded) >= _LONGEST:
            return model.ids.eos
        scores = logits.clone()
        scores[list(banned)] = float("-inf")
        return int(scores.argmax())

    decoding = kind(model, sampler, said, list(spoken), upstream=upstream)
    decoding.feed(text)
    decoding.end()
    tokens = []
    while not decoding.ended:
        token = decoding.next()
        if token is not None:
            tokens.append(token)
    return tokens, decoding.fed


def _exact(name: str, ours: list[int], theirs: list[int]) -> Quantity:
    return Quantity(name, 0.0 if ours == theirs else float("inf"), EXACT, "" if ours == theirs else f"{ours}")


def _holds(pair: Pair, *endings: str) -> bool:
    return all(any(name == end or name.endswith("." + end) for name in pair.tensors) for end in endings)


def _decodes(pair: Pair) -> bool:
    return "mel" in pair.tensors and any(name.endswith("source") for name in pair.tensors)


def _speaks(pair: Pair) -> bool:
    return any(not value.is_floating_point() for value in pair.tensors.values())


def _only_weights(pair: Pair) -> bool:
    marked = [m for m in ("input_embedding.weight", "conv_pre.bias") if _holds(pair, m)]
    return bool(marked) and sum(len(weights_under(pair.tensors, m)[1]) for m in marked) == len(pair.tensors)


_CHECKS: tuple[tuple[Callable[[Pair], bool], Callable[[Pair, Sheet, list[Pair]], None]], ...] = (
    (lambda pair: _holds(pair, "llm_decoder.weight") and "results" in pair.info, _language_model),
    (lambda pair: "logits" in pair.tensors and "cases" in pair.info, _sampling),
    (lambda pair: {"f0_frames", "sine"} <= set(pair.tensors), _sines),
    (_only_weights, _weights),
    (lambda pair: {"x", "context"} <= set(pair.tensors), _encoder),
    (lambda pair: {"mu", "spk", "cond"} <= set(pair.tensors), _solver),
    (_speaks, _whole_flow),
    (_decodes, _vocoder),
)
