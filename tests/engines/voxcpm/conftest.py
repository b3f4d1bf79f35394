"""Tiny models of both architectures, built once; a spoken clip to clone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.engines.voxcpm import package

ARCHITECTURES = ("voxcpm", "voxcpm2")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny(architecture) -> folder`, built once; read it, never write to it."""
    if not package.installed():
        pytest.skip('the package voxcpm is not installed (pip install --no-deps "voxcpm>=2.0.3,<2.1")')
    import torch

    from tests.engines.voxcpm.tiny import build

    # The bare package's TorchScript activations are compiled anew for every length: most of the time of these tests.
    torch._C._jit_set_texpr_fuser_enabled(False)
    built: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in built:
            built[architecture] = build(tmp_path_factory.mktemp("models") / architecture, architecture)
        return built[architecture]

    return folder


@pytest.fixture(scope="session")
def loaded(tiny: Callable[[str], Path]) -> Callable[[str], Any]:
    """`loaded(architecture) -> VoxEngine`, loaded once."""
    from core.engines.voxcpm.engine import load

    engines: dict[str, Any] = {}

    def engine(architecture: str) -> Any:
        if architecture not in engines:
            engines[architecture] = load(tiny(architecture))
        return engines[architecture]

    return engine


@pytest.fixture(params=ARCHITECTURES)
def engine(request: pytest.FixtureRequest, loaded: Callable[[str], Any]) -> Any:
    """A loaded tiny model of each architecture."""
    return loaded(request.param)


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory, write_wav: Callable[[Path, np.ndarray, int], Path]) -> Path:
    """Three seconds of a voice-like sound at 16 kHz."""
    at = np.arange(48000) / 16000
    tone = sum(np.sin(2 * np.pi * 140 * k * at + k) / k for k in range(1, 12))
    noise = 0.003 * np.random.default_rng(1).standard_normal(at.size)
    swell = np.clip(np.sin(2 * np.pi * 2.5 * at), 0, 1)
    return write_wav(tmp_path_factory.mktemp("clip") / "clip.wav", 0.2 * tone * swell + noise, 16000)
