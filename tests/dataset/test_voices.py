"""Voices on disk: names of any language, no way out of the folder, nothing lost on rename and delete."""

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.voices import FOLDERS, VoiceStore
from core.errors import BadInput, Conflict, NotFound
from tests.audio.media import speechlike
from tests.dataset.kit import RATE, Bench


@pytest.fixture
def store(tmp_path: Path) -> VoiceStore:
    return VoiceStore(tmp_path / "voices")


def test_an_empty_store(store: VoiceStore) -> None:
    assert store.list() == []
    with pytest.raises(NotFound) as caught:
        store.get("Ann")
    assert "none yet" in caught.value.hint


def test_create_makes_the_designs_folders(store: VoiceStore) -> None:
    voice = store.create("Ann Müller 声音 🎤")
    assert sorted(p.name for p in voice.path.iterdir()) == sorted(FOLDERS)
    assert {
        voice.raw,
        voice.converted,
        voice.sliced,
        voice.denoised,
        voice.transcripts,
        voice.experiments,
        voice.models,
    } == {voice.path / name for name in FOLDERS}
    assert store.get(voice.name) == voice
    assert store.list() == [voice]


@pytest.mark.parametrize("name", ["", "   ", "..", ".", "///"])
def test_names_that_are_none(store: VoiceStore, name: str) -> None:
    try:
        voice = store.create(name)
    except BadInput:
        assert store.list() == []
    else:
        assert voice.path.parent == store.root
        assert not set(voice.name) <= {".", "/"}


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_name_stays_below_the_root(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("any") / "voices"
    store = VoiceStore(root)
    try:
        voice = store.create(name)
    except BadInput:
        assert store.list() == []
        return
    assert voice.path.resolve().parent == root.resolve()
    assert store.get(voice.name) == voice
    assert len(voice.name.encode()) <= 255


def test_names_that_differ_in_case_only_conflict(store: VoiceStore) -> None:
    store.create("Ann")
    for other in ("Ann", "ann", "ANN "):
        with pytest.raises(Conflict):
            store.create(other)
    store.create("Bea")
    with pytest.raises(Conflict):
        store.rename("Bea", "ann")
    assert store.rename("Ann", "ANN").name == "ANN"
    assert [voice.name for voice in store.list()] == ["ANN", "Bea"]


def test_get_takes_no_paths(store: VoiceStore) -> None:
    store.create("Ann")
    for name in ("../voices/Ann", "Ann/raw_audio", "/etc", "", ".", "..", ".trash"):
        with pytest.raises(NotFound):
            store.get(name)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_out_is_no_voice(store: VoiceStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    store.create("Ann")
    (store.root / "Link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput):
        store.get("Link")


def test_delete_moves_to_the_trash_and_the_name_is_free(store: VoiceStore) -> None:
    for round_ in range(2):
        voice = store.create("Ann")
        (voice.raw / "a.wav").write_bytes(b"take %d" % round_)
        gone = store.delete("Ann")
        assert gone.is_relative_to(store.root / ".trash")
        assert (gone / "raw_audio" / "a.wav").read_bytes() == b"take %d" % round_
        assert store.list() == []
    assert len(list((store.root / ".trash").iterdir())) == 2


def test_rename_keeps_everything_and_mends_the_manifest(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "ws")
    bench.record("a.flac", speechlike(5, RATE))
    bench.prepare()
    before = bench.files()
    renamed = bench.store.rename(bench.voice.name, "Bea")
    assert not bench.voice.path.exists()
    rows = [json.loads(line) for line in (renamed.path / "train.jsonl").read_text().splitlines()]
    assert rows
    assert all(Path(row["audio"]).is_file() for row in rows)
    bench.voice = renamed
    assert bench.files() == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_protected_folder_says_so(store: VoiceStore) -> None:
    store.root.mkdir()
    store.root.chmod(0o500)
    with pytest.raises(BadInput, match="cannot be changed"):
        store.create("Ann")


def test_of_many_who_ask_at_once_one_makes_the_voice(workspace: Path) -> None:
    """Also of several processes: nothing but the folder tells them of each other."""
    from concurrent.futures import ThreadPoolExecutor

    def ask(_: int) -> bool:
        try:
            VoiceStore(workspace).create("same")
        except Conflict:
            return False
        return True

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(8))) == 1
        VoiceStore(workspace).delete("same")
