"""`python -m benchmarks cosyvoice2 [--device D]`: streaming at full size with random weights; speed, not sound.

Time for each block of a second against its place in the stream, beside solving the whole prefix again as upstream
does; the time to the first chunk; the real-time factor. Published, to compare: a first chunk after 220 ms and an RTF
of 0.12 on an L20 with TensorRT; 1.77 s and 0.93 on a 3090 as released.
"""

import argparse
import time
from typing import Any

import torch

from core.engines.cosyvoice2.config import HiftConfig, LanguageModelConfig, UnetFlowConfig
from core.engines.cosyvoice2.flow import Flow, FlowStream, Prompt
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import LanguageModel
from core.engines.cosyvoice2.vocoder import VocoderStream

_BLOCK, _LOOKAHEAD = 25, 3


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure on one device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cosyvoice2", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=int, default=20, help="length of the stream")
    parser.add_argument("--prompt-s", type=float, default=3.0, help="length of the speaker's clip")
    parser.add_argument("--left-s", type=float, default=10.0, help="left context beside the clip")
    parser.add_argument("--skip-language-model", action="store_true")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    flow, hift = (model.eval().requires_grad_(False).to(options.device) for model in (_flow(), Hift(HiftConfig())))
    assert isinstance(flow, Flow)
    assert isinstance(hift, Hift)
    n_prompt = round(options.prompt_s * _BLOCK)
    prompt = Prompt(torch.randint(0, 6561, (1, n_prompt)), torch.randn(1, 80, 2 * n_prompt), torch.randn(1, 192))
    token_ms = None if options.skip_language_model else _token_ms(options.device)
    blocks, prepare_s = _blocks(flow, hift, prompt, options.seconds, round(options.left_s * 50))
    again = [_again_s(flow, prompt, at) for at in (1, options.seconds // 2, options.seconds)]
    language_s = 0.0 if token_ms is None else token_ms / 1000 * _BLOCK
    later = sorted(block["s"] for block in blocks[len(blocks) // 2 :])
    return {
        "device": torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu",
        "threads": torch.get_num_threads(),
        "language_model_ms_a_token": token_ms,
        "prepare_prompt_s": round(prepare_s, 3),
        "first_chunk_s": round(blocks[0]["s"] + language_s * (_BLOCK + _LOOKAHEAD) / _BLOCK, 3),
        "median_block_s": round(later[len(later) // 2], 3),
        "rtf": round(later[len(later) // 2] + language_s, 3),
        "blocks": blocks,
        "solving_all_again_s": dict(zip(("1 s", "half", "end"), again, strict=True)),
    }


def _flow() -> Flow:
    return Flow(UnetFlowConfig())


def _clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def _token_ms(device: str, n_tokens: int = 30) -> float:
    """Of one step of the language model after a prompt of 200 positions."""
    from transformers import Qwen2Config

    trunk = Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2
    )
    model = LanguageModel(LanguageModelConfig(), trunk).eval().requires_grad_(False).to(device)
    cache = model.cache()
    model(model.text([1] * 200), cache)
    model(model.speech([1]), cache)
    started = _clock(device)
    for _ in range(n_tokens):
        model(model.speech([1]), cache)
    return round((_clock(device) - started) / n_tokens * 1000, 2)


def _blocks(
    flow: Flow, hift: Hift, prompt: Prompt, seconds: int, left_frames: int
) -> tuple[list[dict[str, float]], float]:
    """Seconds for each block of 25 tokens, flow and vocoder, and for the prompt before them."""
    device = str(flow.device)
    skip = -(prompt.tokens.shape[1] + _BLOCK) % _BLOCK
    flow.stream(prompt, skip=skip, left_frames=left_frames).push([1] * (_BLOCK + _LOOKAHEAD))  # warm
    started = _clock(device)
    stream: FlowStream = flow.stream(prompt, skip=skip, left_frames=left_frames)
    prepare_s = _clock(device) - started
    vocoder = VocoderStream(hift, torch.Generator().manual_seed(0))
    blocks = []
    for at in range(seconds):
        started = _clock(device)
        mel = stream.push([at % 100] * (_BLOCK + (_LOOKAHEAD if at == 0 else 0)))
        solved = _clock(device)
        vocoder.push(mel)
        ended = _clock(device)
        blocks.append({"at_s": at, "s": round(ended - started, 4), "flow_s": round(solved - started, 4)})
    return blocks, prepare_s


def _again_s(flow: Flow, prompt: Prompt, seconds: int) -> float:
    """What solving the whole prefix takes, for its last block."""
    tokens = torch.ones(1, seconds * _BLOCK, dtype=torch.long)
    started = _clock(str(flow.device))
    flow.mel(tokens, prompt, block=True)
    return round(_clock(str(flow.device)) - started, 3)


def markdown(figures: dict[str, Any]) -> str:
    """The page of docs/results: time a block beside solving all again."""
    again = figures["solving_all_again_s"]
    rows = [f"| {block['at_s']} | {block['s']:.2f} | {block['flow_s']:.2f} |" for block in figures["blocks"]]
    return "\n".join(
        [
            f"Random weights of the real size on {figures['device']}, {figures['threads']} threads. First chunk after "
            f"{figures['first_chunk_s']:.2f} s with a speaker whose prompt is prepared (which takes "
            f"{figures['prepare_prompt_s']:.2f} s, once), "
            f"real-time factor {figures['rtf']:.2f}, {figures.get('language_model_ms_a_token', float('nan')):.0f} ms "
            "a token of the language model.",
            "",
            "| second of the stream | block of a second takes, s | of it the flow, s |",
            "|---|---|---|",
            *rows,
            "",
            "Solving the whole prefix again, as upstream does, for the last block of a stream of so much: "
            + ", ".join(f"{name} {value:.1f} s" for name, value in again.items())
            + ".",
            "",
        ]
    )
