"""CosyVoice's language model: token lists, decoded as we do and as upstream did, and single draws of its sampler."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, EXACT, Quantity, Sheet, compare
from core.engines.cosyvoice2.config import LanguageModelConfig
from core.engines.cosyvoice2.decoding import MAX_RATIO, MIN_RATIO, Decoding, Interleaved, WholeText
from core.engines.cosyvoice2.language_model import UNUSED, LanguageModel
from core.engines.cosyvoice2.sampling import RepetitionAwareSampler, nucleus
from core.models.safe_load import strict_load

_LONGEST = 60  # where the cases' sampler ends unless they say otherwise; it takes the arg-max until then


def check_sampling(sheet: Sheet, info: Mapping[str, Any]) -> None:
    """Nucleus and repetition-aware picks from given logits [cases, ids], by the seed of each case; exact."""
    cases = info.get("cases")
    if "logits" not in sheet or not isinstance(cases, list):
        return
    logits, params = sheet.given("logits"), info.get("params", {})
    config = LanguageModelConfig(speech_tokens=logits.shape[1] - 3, **params)
    for index, case in enumerate(cases):
        row = logits[case.get("i", index)]
        probabilities, ids = nucleus(row.log_softmax(0).softmax(0), config.top_p, config.top_k)
        generator = torch.Generator().manual_seed(case["seed"])
        first = ids[torch.multinomial(probabilities, 1, replacement=True, generator=generator)]
        generator.manual_seed(case["seed"])
        picked = RepetitionAwareSampler(config, generator)(row, case.get("decoded", []), ())
        ours = {
            "nucleus_size": len(ids),
            "nucleus_pick": int(first),
            "ras_pick": picked,
            "resampled": int(picked != int(first)),
        }
        told = [key for key in ours if key in case]
        found = compare(f"case {index}", [ours[k] for k in told], [float(case[k]) for k in told], EXACT)
        sheet.found.append(found if told else Quantity(f"case {index}", float("inf"), EXACT, "says no result"))


def check_language_model(sheet: Sheet, info: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
    """Hidden states, and every list of `results`, of a model with weights of its own."""
    if not weights or "results" not in info:
        return
    model = _model(info, weights)
    text, prompt_text, prompt_speech = (
        sheet.given(name).flatten().tolist() if name in sheet else []
        for name in ("text", "prompt_text", "prompt_speech")
    )
    for name in [name for name in sheet.values if name.startswith("hidden_text")]:
        parts = [model.start(), model.text(text[: int(name.removeprefix("hidden_text"))]), model.task()]
        hidden = model.trunk(inputs_embeds=torch.cat(parts, dim=1)).last_hidden_state
        sheet.check(name, hidden, AUDIO)
        sheet.check(name.replace("hidden", "logp"), model.llm_decoder(hidden).log_softmax(-1), AUDIO)
    told = re.search(r"after (\d+)", str(info.get("desc", "")))
    for name, result in info["results"].items():
        given: Mapping[str, Any] = result if isinstance(result, dict) else {"tokens": result}
        prompted = "prompt" in name and "noprompt" not in name
        short = re.search(r"short_?(\d+)", name)
        speech = _Speech(
            model,
            text[: int(short[1])] if short else text,
            prompt_text if prompted else [],
            prompt_speech if prompted else [],
            int(told[1]) if told else _LONGEST,
        )
        sheet.found += _listed(name, speech, given, (prompt_text, prompt_speech))


def _model(info: Mapping[str, Any], weights: dict[str, Tensor]) -> LanguageModel:
    from transformers import Qwen2Config

    speech_tokens = int(info["speech_token_size"])
    config = LanguageModelConfig(
        speech_tokens=speech_tokens,
        extra_ids=weights["llm_decoder.weight"].shape[0] - speech_tokens,
        own_embedding="llm_embedding.weight" in weights,
        mix_ratio=tuple(info.get("mix_ratio", (5, 15))),
    )
    model = LanguageModel(config, Qwen2Config(**info["qwen"])).eval()
    strict_load(model, weights, "llm", may_ignore=UNUSED)
    return model


@dataclass(frozen=True)
class _Run:
    """What one decoding gave: tokens, (new, total) positions of each call, tokens before each, worst cached logits."""

    tokens: list[int]
    fed: list[tuple[int, int]]
    before: list[int]
    cache_gap: float


@dataclass(frozen=True)
class _Speech:
    """One request: what to say, after what, and how long at most."""

    model: LanguageModel
    text: list[int]
    prompt_text: list[int]
    prompt_speech: list[int]
    longest: int

    def run(self, kind: type[Decoding], *, upstream: bool, calls: int = 0) -> _Run:
        """Decode by arg-max; only the first `calls` calls of the model if not 0."""
        model = self.model

        def sampler(logits: Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
            if not banned and len(decoded) >= self.longest:
                return model.ids.eos
            scores = logits.clone()
            scores[list(banned)] = float("-inf")
            return int(scores.argmax())

        decoding = kind(model, sampler, self.prompt_text, list(self.prompt_speech), upstream=upstream)
        embedded: list[Tensor] = []
        logits: list[Tensor] = []
        before: list[int] = []
        tokens: list[int] = []
        step = decoding._logits

        def watched(parts: list[Tensor]) -> Tensor:
            embedded.append(torch.cat(parts, dim=1))
            before.append(len(tokens))
            logits.append(step(parts))
            return logits[-1]

        decoding._logits = watched  # type: ignore[method-assign]
        decoding.feed(self.text)
        decoding.end()
        while not decoding.ended and not (calls and len(before) >= calls):
            token = decoding.next()
            if token is not None:
                tokens.append(token)
        gap = 0.0
        if embedded and not calls:
            # Without a cache: the whole sequence through the trunk at once, where transformers cannot go wrong.
            hidden = model.trunk(inputs_embeds=torch.cat(embedded, dim=1)).last_hidden_state[0]
            at_once = model.llm_decoder(hidden[[total - 1 for _, total in decoding.fed]])
            gap = compare("", torch.stack(logits), at_once, AUDIO).difference
        return _Run(tokens, decoding.fed, before, gap)


def _listed(
    name: str, speech: _Speech, given: Mapping[str, Any], prompts: tuple[list[int], list[int]]
) -> list[Quantity]:
    """One token list: as we decode; with upstream's bugs; and where the two part, that a bug of upstream's is why."""
    steps = [tuple(step) for step in given.get("steps", [])]
    kinds: list[type[Decoding]] = [Interleaved] if name.startswith("bi") else [WholeText]
    if not name.startswith(("bi", "uni")):
        kinds = [Interleaved, WholeText] if steps else [WholeText, Interleaved]
    best: tuple[_Run, _Speech, type[Decoding]] | None = None
    for kind in kinds:
        for one in _meant(speech, steps, kind, prompts):
            run = one.run(kind, upstream=True)
            if best is None or run.tokens == given["tokens"]:
                best = run, one, kind
            if run.tokens == given["tokens"] and (not steps or run.fed == steps):
                break
        if best and best[0].tokens == given["tokens"]:
            break
    if best is None:
        return [Quantity(f"{name}: tokens", float("inf"), EXACT, "nothing that could be said makes these calls")]
    theirs, one, kind = best
    found = [_exact(f"{name}: tokens with upstream's bugs", theirs.tokens, given["tokens"])]
    if steps:
        flat = [[n for step in run for n in step] for run in (theirs.fed, steps)]
        found.append(_exact(f"{name}: calls with upstream's bugs", *flat))
    ours = one.run(kind, upstream=False)
    found.append(_corrected(name, one, theirs, ours))
    found.append(Quantity(f"{name}: logits with a cache and without", ours.cache_gap, AUDIO))
    return found


def _meant(
    speech: _Speech, steps: list[tuple[int, ...]], kind: type[Decoding], prompts: tuple[list[int], list[int]]
) -> Iterator[_Speech]:
    """What a case may have said: as its name tells; else any start of its texts whose first call is the case's."""
    if not steps or speech.run(kind, upstream=True, calls=1).fed[:1] == steps[:1]:
        yield speech
    if not steps:
        return
    prompt_text, prompt_speech = prompts
    for spoken in ([], prompt_speech) if not speech.prompt_speech else (prompt_speech, []):
        for a in range(len(prompt_text) + 1) if spoken else (0, len(prompt_text)):
            for b in range(1, len(speech.text) + 1):
                one = replace(speech, text=speech.text[:b], prompt_text=prompt_text[:a], prompt_speech=spoken)
                if one != speech and one.run(kind, upstream=True, calls=1).fed[:1] == steps[:1]:
                    yield one


def _corrected(name: str, speech: _Speech, theirs: _Run, ours: _Run) -> Quantity:
    """Ours are upstream's tokens up to the first call that a known bug of upstream's changes; if none does, all are.

    Known: what was fed last, fed twice when text ends after a whole block (mostly one token); the rest of the prompt's
    speech dropped when text ends early, five of text skipped after a prompt of whole blocks; and, before the least
    length, stops other than the end of speech (upstream bans that alone). And its streams have no greatest length.
    """
    label = f"{name}: tokens, corrected"
    part = next((i for i, (a, b) in enumerate(zip(ours.fed, theirs.fed, strict=False)) if a != b), None)
    if part is None:
        shorter = min(len(ours.tokens), len(theirs.tokens))
        if ours.tokens == theirs.tokens:
            return _exact(label, ours.tokens, theirs.tokens)
        bound = MAX_RATIO * len(speech.text)
        if len(ours.tokens) == shorter == bound < len(theirs.tokens):
            return _held(
                label, ours.tokens == theirs.tokens[:bound], f"equal for the {bound} tokens that ours may have"
            )
        note = "upstream stopped before the least length, at an id that it does not ban"
        early = len(theirs.tokens) < len(ours.tokens) and shorter < MIN_RATIO * len(speech.text)
        return _held(label, early and ours.tokens[:shorter] == theirs.tokens, note)
    n_equal = min(ours.before[part], theirs.before[part])
    same = ours.tokens[:n_equal] == theirs.tokens[:n_equal]
    more, (n_text, n_speech) = ours.fed[part][0] - theirs.fed[part][0], speech.model.config.mix_ratio
    blocks = min(len(speech.prompt_speech) // n_speech, len(speech.prompt_text + speech.text) // n_text)
    rest = len(speech.prompt_speech) - n_speech * blocks
    again = theirs.fed[part - 1][0] if part else 0
    why = {
        rest: f"prompt speech that upstream drops: {rest} tokens",
        -again: "the last call, which upstream feeds twice",
    }
    if rest and again:
        why[rest - again] = f"{rest} tokens of prompt speech that upstream drops, and the last call fed twice"
    if speech.prompt_speech and len(speech.prompt_speech) % n_speech == 0:
        why |= {n_text: "text that upstream skips after a prompt of whole blocks"}
    why.pop(0, None)
    return _held(label, same and more in why, f"equal for {n_equal} tokens, until {why.get(more, 'a difference')}")


def _held(name: str, held: bool, note: str) -> Quantity:
    return Quantity(name, 0.0 if held else float("inf"), EXACT, note)


def _exact(name: str, ours: list[int], theirs: list[int]) -> Quantity:
    return Quantity(name, 0.0 if ours == theirs else float("inf"), EXACT, "" if ours == theirs else f"{ours}")
