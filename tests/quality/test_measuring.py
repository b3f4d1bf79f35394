"""Measuring side by side gives what measuring one by one gives, and stops when asked."""

from pathlib import Path

import pytest

from core.errors import Cancelled
from core.jobs.context import ForegroundContext
from core.quality.measuring import measured
from core.quality.speakers import TIMBRE
from core.settings import load_settings


def context(workspace: Path) -> ForegroundContext:
    return ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))


def test_processes_change_nothing(takes: Path, workspace: Path) -> None:
    (workspace / "no.wav").write_bytes(b"not audio")
    paths = {path.name: path for path in [*sorted(takes.glob("*.wav"))[:3], workspace / "no.wav"]}
    alone = dict(measured(paths, TIMBRE, context(workspace), workers=1))
    together = dict(measured(paths, TIMBRE, context(workspace), workers=2))
    assert alone == together
    assert isinstance(alone["no.wav"], str)
    assert "no.wav" in alone["no.wav"]


def test_cancel_is_heard_between_clips(takes: Path, workspace: Path) -> None:
    ctx = context(workspace)
    clips = measured({path.name: path for path in sorted(takes.iterdir())}, TIMBRE, ctx, workers=1)
    next(clips)
    ctx.request_cancel()
    with pytest.raises(Cancelled):
        next(clips)
