"""Tiny CosyVoice models with random weights."""

from pathlib import Path

import pytest
import torch
from hypothesis import Phase, settings

from core.engines.cosyvoice2.config import DitFlowConfig, HiftConfig, LanguageModelConfig, UnetFlowConfig
from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import LanguageModel

VOCAB = 20


def few(n_examples: int) -> settings:
    """A few examples without hypothesis's explanations: on Python 3.11 these trace every call, which takes ten times
    as long with a network inside."""
    return settings(max_examples=n_examples, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def randomised(module: torch.nn.Module, seed: int, scale: float = 0.3) -> torch.nn.Module:
    """Weights that make something of their input: fresh initialisations are often nearly deaf."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan_in = max(1, parameter[0].numel() if parameter.dim() > 1 else 1)
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.copy_(noise / fan_in**0.5 * 3 if parameter.dim() > 1 else noise + float("norm" in name))
    return module.eval().requires_grad_(False)


def tiny_flow_config() -> UnetFlowConfig:
    return UnetFlowConfig(
        vocab_size=VOCAB,
        input_size=16,
        encoder_dim=16,
        encoder_heads=2,
        encoder_hidden=24,
        encoder_layers=1,
        encoder_up_layers=1,
        channels=8,
        heads=2,
        head_dim=4,
        n_blocks=1,
        mid_blocks=1,
        block=5,
    )


@pytest.fixture(scope="session")
def flow() -> Flow:
    """A U-Net flow with blocks of five tokens."""
    model = randomised(Flow(tiny_flow_config()), 1)
    assert isinstance(model, Flow)
    return model


@pytest.fixture(scope="session")
def dit_flow() -> Flow:
    """A flow of version 3."""
    config = DitFlowConfig(vocab_size=VOCAB, lookahead_channels=16, dim=32, depth=1, heads=2, head_dim=8, block=5)
    model = randomised(Flow(config), 2, scale=0.1)
    assert isinstance(model, Flow)
    return model


def tiny_hift(causal: bool) -> Hift:
    model = Hift(HiftConfig(base_channels=8, f0_channels=4, causal=causal))
    return hearing(model)


def hearing(model: Hift) -> Hift:
    """Random weights with which the sound follows the mel (a hundredth of it is a thousandth of full scale or more):
    at smaller ones it is deaf, and whatever the parts before it do would pass; at larger ones it clips."""
    randomised(model, 3, scale=0.28 if model.config.causal else 0.24)
    model.f0_predictor.classifier.bias.fill_(150.0)
    return model


@pytest.fixture(scope="session")
def hift() -> Hift:
    """A vocoder that looks both ways, with a pitch about 150 Hz."""
    return tiny_hift(causal=False)


@pytest.fixture(scope="session")
def causal_hift() -> Hift:
    """The vocoder of version 3."""
    return tiny_hift(causal=True)


def tiny_language_model(own_embedding: bool = True) -> LanguageModel:
    from transformers import Qwen2Config

    trunk = Qwen2Config(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=400,
        max_position_embeddings=2048,
    )
    extra = 3 if own_embedding else 8
    config = LanguageModelConfig(speech_tokens=VOCAB, extra_ids=extra, own_embedding=own_embedding)
    model = randomised(LanguageModel(config, trunk), 4)
    assert isinstance(model, LanguageModel)
    return model


@pytest.fixture(scope="session")
def language_model() -> LanguageModel:
    """A language model of twenty speech tokens."""
    return tiny_language_model()


@pytest.fixture(scope="session")
def prompt() -> Prompt:
    """Seven tokens of a voice."""
    generator = torch.Generator().manual_seed(5)
    return Prompt(
        torch.randint(0, VOCAB, (1, 7), generator=generator),
        torch.randn(1, 80, 14, generator=generator),
        torch.randn(1, 192, generator=generator),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CosyVoice2 in the released layout."""
    from tests.engines.cosyvoice2 import tiny_folder

    return tiny_folder.write(tmp_path_factory.mktemp("models") / "CosyVoice2-tiny")
