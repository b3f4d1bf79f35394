"""Which files of a folder are clips, and where their texts come from."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audio.encode import write_audio
from core.errors import BadInput
from core.jobs.context import ForegroundContext
from core.quality.items import Item, folder_items, voice_items
from core.settings import load_settings
from tests.dataset.kit import Bench

TONE = np.full(800, 0.1, np.float32)


def items_of(folder: Path) -> dict[str, Item]:
    context = ForegroundContext(load_settings({"workspace": str(folder / "ws")}, env={}))
    return {item.name: item for item in folder_items(folder, context)}


def test_audio_is_found_and_the_rest_left_out(tmp_path: Path) -> None:
    for name in ("a.wav", "sub/b.WAV", ".hidden/c.wav", ".d.wav"):
        write_audio(tmp_path / name, TONE, 8000, "wav")
    (tmp_path / "notes.txt").write_text("no audio")
    found = items_of(tmp_path)
    assert list(found) == ["a.wav", "sub/b.WAV"]
    assert found["a.wav"].sha256 == found["sub/b.WAV"].sha256
    assert found["a.wav"].id != found["sub/b.WAV"].id


def test_texts_from_the_manifest_or_beside(tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav", "3.wav"):
        write_audio(tmp_path / name, TONE, 8000)
    row = {"audio": str(tmp_path / "1.wav"), "text": "one", "speaker": "ann", "source": "long.wav"}
    lines = [json.dumps(row), "{torn", json.dumps([1]), json.dumps({"audio": "2.wav", "text": "two"})]
    (tmp_path / "train.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "3.lab").write_bytes("\ufeffdrei\n".encode())
    found = items_of(tmp_path)
    assert [(i.text, i.speaker, i.source) for i in found.values()] == [
        ("one", "ann", "long.wav"), ("two", "", "2.wav"), ("drei", "", "3.wav"),
    ]  # fmt: skip


def test_a_manifest_of_other_tools_costs_its_bad_lines_only(tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav"):
        write_audio(tmp_path / name, TONE, 8000)
    first = json.dumps({"audio": "1.wav", "text": "one\u2028more"}, ensure_ascii=False)
    lines = ["\ufeff" + first, 50_000 * "[", '{"audio": 5}', json.dumps({"audio": "2.wav", "text": "two"})]
    (tmp_path / "train.jsonl").write_text("\r\n".join(lines), "utf-8", newline="")
    assert [item.text for item in items_of(tmp_path).values()] == ["one\u2028more", "two"]


def test_nothing_to_judge_is_said(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(BadInput, match="no audio"):
        items_of(tmp_path)
    with pytest.raises(BadInput, match="no folder"):
        items_of(tmp_path / "gone")
    with pytest.raises(BadInput, match="no clips"):
        voice_items(Bench(workspace).voice)
