"""Stored voices, and a model's own."""

from pathlib import Path

import pytest
import torch

from core.engines.cosyvoice2.speaker import SpeakerStore, read_presets, speaker_of
from core.errors import BadInput, Conflict, ModelFileError, NotFound
from tests.engines.cosyvoice2 import tiny_folder


def test_both_schemas_of_presets(tmp_path: Path) -> None:
    path = tmp_path / "spk2info.pt"
    torch.save(tiny_folder.speakers(), path)
    found = read_presets(path)
    assert not found["girl"].has_clip
    assert found["stored"].has_clip
    assert found["stored"].text.tolist() == [[72, 105]]
    assert found["stored"].mel.shape == (1, 80, 60)
    assert torch.equal(found["girl"].embedding, found["stored"].embedding)


@pytest.mark.parametrize(
    "data", [[1], {"a": 1}, {"a": {}}, {"a": {"embedding": "no"}}, {"a": {"embedding": torch.tensor([float("nan")])}}]
)
def test_odd_presets_are_refused(tmp_path: Path, data: object) -> None:
    path = tmp_path / "spk2info.pt"
    torch.save(data, path)
    with pytest.raises(ModelFileError, match=r"spk2info\.pt"):
        read_presets(path)


def test_a_clip_whose_halves_differ_is_cut() -> None:
    speaker = speaker_of(torch.ones(192), list(range(9)), torch.zeros(80, 15))
    assert (speaker.tokens.shape, speaker.mel.shape) == ((1, 7), (1, 80, 14))


def test_add_rename_delete(tmp_path: Path) -> None:
    store = SpeakerStore(tmp_path / "speakers")
    assert store.names() == []
    speaker = speaker_of(torch.randn(1, 192), [1, 2, 3], torch.randn(1, 80, 6), [4])
    store.add("小明 one", speaker)
    with pytest.raises(Conflict):
        store.add("小明 one", speaker)
    store.rename("小明 one", "Ann")
    assert store.names() == ["Ann"]
    again = store.get("Ann")
    assert all(
        torch.equal(getattr(again, key), getattr(speaker, key)) for key in ("embedding", "tokens", "mel", "text")
    )
    store.add("Ben", speaker)
    with pytest.raises(Conflict):
        store.rename("Ben", "Ann")
    with pytest.raises(BadInput):
        store.rename("Ben", " ")
    store.delete("Ann")
    for act in (store.get, store.delete, lambda name: store.rename(name, "x")):
        with pytest.raises(NotFound):
            act("Ann")
    assert store.names() == ["Ben"]


def test_names_stay_in_their_folder(tmp_path: Path) -> None:
    store = SpeakerStore(tmp_path / "speakers")
    path = store.add("../../etc/passwd", speaker_of(torch.ones(192)))
    assert path.parent == store.folder
    path.write_bytes(b"not tensors")
    with pytest.raises(ModelFileError):
        store.get("../../etc/passwd")


def test_what_was_kept_serves_only_what_it_was_made_of(tmp_path: Path) -> None:
    store, made_of = SpeakerStore(tmp_path / "prompts"), {"clip": "ab", "text": "hi", "ears": "cd"}
    speaker = speaker_of(torch.ones(192), list(range(4)), torch.zeros(80, 8), [[7]])
    assert store.recall("me", made_of) is None
    path = store.add("me", speaker, made_of=made_of)
    found = store.recall("me", made_of)
    assert found is not None
    assert torch.equal(found.tokens, speaker.tokens)
    for name in made_of:
        assert store.recall("me", {**made_of, name: "other"}) is None
    path.write_bytes(path.read_bytes()[:-9])
    assert store.recall("me", made_of) is None
