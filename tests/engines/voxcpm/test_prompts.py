"""Prompt latents: equal to the package's, kept with the voice, made again when the clip or the encoder changes."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.engines.voxcpm.prompts import cached_encode, encode, joined_text
from core.speech.prompt import ReferenceClip, read_clip


def test_latents_keep_the_end_of_what_is_continued(loaded: Callable[[str], Any], clip_file: Path) -> None:
    net = loaded("voxcpm2").net
    clip = read_clip(clip_file, 16000)
    short = replace(clip, audio=clip.audio[:-1000])
    continued, reference = (encode(net, short, continuation=flag) for flag in (True, False))
    assert continued.shape == reference.shape == (19, 4, 8)
    whole = torch.from_numpy(np.pad(short.audio, (19 * 2560 - short.audio.size, 0)))
    with torch.inference_mode():
        wanted = net.model.audio_vae.encode(whole[None, None], 16000)
    torch.testing.assert_close(continued.reshape(-1, 8).T[None], wanted, atol=1e-6, rtol=0)
    assert not torch.equal(continued, reference)


def test_cache_lives_as_long_as_its_clip_and_encoder(
    loaded: Callable[[str], Any], clip_file: Path, tmp_path: Path
) -> None:
    net = loaded("voxcpm2").net
    clip = read_clip(clip_file, 16000)

    def keep(which: ReferenceClip = clip, network: Any = net) -> tuple[torch.Tensor, int]:
        latents = cached_encode(network, which, tmp_path, continuation=True)
        (path,) = tmp_path.glob("*.safetensors")
        return latents, path.stat().st_ino

    first, made = keep()
    again, kept = keep()
    assert torch.equal(first, again)
    assert kept == made, "read, not made again"
    changed = replace(clip, audio=clip.audio * 0.5, sha256="0" * 64)
    other, remade = keep(changed)
    assert remade != made
    assert not torch.equal(other, first)
    back, _ = keep(clip, replace(net, fingerprint="another"))
    assert torch.equal(back, first)
    (path,) = tmp_path.glob("*.safetensors")
    os.truncate(path, 40)
    assert torch.equal(keep()[0], first)
    cached_encode(net, clip, tmp_path, continuation=False)
    assert len(list(tmp_path.iterdir())) == 2


def test_words_of_prompt_and_sentence() -> None:
    assert joined_text("Hello.", "World.") == "Hello. World."
    assert joined_text("Hello. ", "World.") == "Hello. World."
    assert joined_text("你好。", "世界") == "你好。世界"
    assert joined_text("", "x") == "x"
