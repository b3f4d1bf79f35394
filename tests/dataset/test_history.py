"""Verdicts can be taken back and made again, also after a crash, and never over newer work."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset import history
from core.dataset.clips import Clip, ClipTable
from core.dataset.history import RecordedTable
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, Conflict, NotFound
from core.settings import load_settings
from core.studio import Studio


def clip(name: str) -> Clip:
    return Clip(name, f"sliced_audio/{name}.wav", "a.wav", 0.0, 1.0, 1.0, -20.0, -3.0, 40.0, 0.0, name * 8)


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    made = VoiceStore(tmp_path).create("ann")
    ClipTable(made).save([clip(name) for name in "abcd"])
    return made


def verdicts(voice: Voice) -> str:
    """First letters: "aarv" is two accepted, one rejected, one for re-view."""
    return "".join({"accepted": "a", "rejected": "r", "review": "v"}[one.verdict] for one in ClipTable(voice).load())


def test_undo_and_redo_go_step_by_step(voice: Voice) -> None:
    RecordedTable(voice).set_verdict(["a", "b"], "rejected")
    RecordedTable(voice).set_verdict(["b"], "review")
    assert verdicts(voice) == "rvaa"
    assert history.undo(voice).label == "review"
    assert verdicts(voice) == "rraa"
    step = history.undo(voice)
    assert (step.label, step.clips) == ("rejected", 2)
    assert verdicts(voice) == "aaaa"
    assert not ClipTable(voice).load()[0].by_user, "what a person had not said is not said any more"
    history.redo(voice)
    history.redo(voice)
    assert verdicts(voice) == "rvaa"
    with pytest.raises(Conflict, match="redo"):
        history.redo(voice)


def test_a_new_change_ends_what_could_be_redone(voice: Voice) -> None:
    RecordedTable(voice).set_verdict(["a"], "rejected")
    history.undo(voice)
    RecordedTable(voice).set_verdict(["b"], "rejected")
    with pytest.raises(Conflict):
        history.redo(voice)
    assert [step.label for step in RecordedTable(voice).steps()[0]] == ["rejected"]
    assert RecordedTable(voice).steps()[1] == []


def test_nothing_to_undo_is_said(voice: Voice) -> None:
    with pytest.raises(Conflict, match="undo"):
        history.undo(voice)
    RecordedTable(voice).set_verdict([], "rejected")
    with pytest.raises(Conflict, match="undo"):
        history.undo(voice)


def test_bad_orders_leave_no_trace(voice: Voice) -> None:
    with pytest.raises(NotFound):
        RecordedTable(voice).set_verdict(["a", "x"], "rejected")
    with pytest.raises(BadInput):
        RecordedTable(voice).set_verdict(["a"], "maybe")
    assert RecordedTable(voice).steps() == ([], [])
    assert verdicts(voice) == "aaaa"


def test_newer_work_is_not_undone(voice: Voice) -> None:
    RecordedTable(voice).set_verdict(["a", "b"], "rejected")
    # Another preparation: one clip is gone, another was judged anew without the journal.
    ClipTable(voice).save([replace(clip("a"), verdict="review"), replace(clip("b"), verdict="rejected", by_user=True)])
    history.undo(voice)
    assert verdicts(voice) == "va"


def test_a_change_that_the_table_never_got_is_passed_over(voice: Voice) -> None:
    RecordedTable(voice).set_verdict(["a"], "rejected")
    before = ClipTable(voice).path.read_bytes()
    RecordedTable(voice).set_verdict(["b"], "rejected")
    ClipTable(voice).path.write_bytes(before)  # as if the process had died between journal and table
    history.undo(voice)
    assert verdicts(voice) == "aaaa", "the step before it is the one to undo"


def test_the_studio_records_what_a_person_decides(tmp_path: Path) -> None:
    studio = Studio(load_settings({"workspace": str(tmp_path)}, env={}))
    made = studio.create_voice("ann")
    ClipTable(made).save([clip("a"), clip("b")])
    studio.set_verdict("ann", ["a", "b"], "rejected")
    assert studio.undo("ann").clips == 2
    assert verdicts(made) == "aa"
    studio.redo("ann")
    assert verdicts(made) == "rr"
    job = studio.start_job("qa", "ann", {"apply": True})
    assert (job.kind, job.voice, job.params) == ("qa", "ann", {"apply": True, "voice": "ann"})
    studio.close()


@pytest.mark.parametrize("torn", [b'{"op": "change", "la', b"\xff\xff", b'{"op":"undo","number":99}', b"[]", b"1"])
def test_a_torn_journal_keeps_the_rest(voice: Voice, torn: bytes) -> None:
    RecordedTable(voice).set_verdict(["a"], "rejected")
    journal = RecordedTable(voice).journal
    journal.write_bytes(journal.read_bytes() + torn)
    RecordedTable(voice).set_verdict(["b"], "rejected")
    history.undo(voice)
    history.undo(voice)
    assert verdicts(voice) == "aaaa"


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("abcd")), st.sampled_from(["accepted", "review", "rejected"])), max_size=5
    )
)
def test_undoing_everything_brings_back_the_beginning(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[set[str], str]]
) -> None:
    made = VoiceStore(tmp_path_factory.mktemp("v")).create("ann")
    ClipTable(made).save([clip(name) for name in "abcd"])
    start = ClipTable(made).load()
    states = [start]
    for ids, verdict in changes:
        RecordedTable(made).set_verdict(ids, verdict)
        if ClipTable(made).load() != states[-1]:
            states.append(ClipTable(made).load())
    for wanted in reversed(states[:-1]):
        history.undo(made)
        assert ClipTable(made).load() == wanted
    for wanted in states[1:]:
        history.redo(made)
        assert ClipTable(made).load() == wanted
