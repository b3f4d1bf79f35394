"""The parts of the evidence benchmark that need no model."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evidence.judges import edit_distance
from benchmarks.evidence.speech import HOLD_OUT_EVERY, held_out, training_files

words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


def test_edit_distance_of_known_sentences():
    assert edit_distance(["the", "cat", "sat"], ["the", "cat", "sat"]) == 0
    assert edit_distance(["the", "cat", "sat"], ["the", "bat", "sat", "down"]) == 2
    assert edit_distance(["a", "b", "c"], []) == 3


@given(words, words)
def test_edit_distance_is_symmetric_and_bounded(left, right):
    distance = edit_distance(left, right)
    assert distance == edit_distance(right, left)
    assert abs(len(left) - len(right)) <= distance <= max(len(left), len(right))


def test_no_held_out_clip_is_trained_on(shared_dir, tmp_path):
    data = shared_dir / "data"
    trained = {path.name for path in training_files(data)}
    kept = {utterance.path.name for utterance in held_out(data, tmp_path)}
    assert kept
    assert not trained & kept
    everything = len(list((data / "en_US_f_Allison").glob("*.flac")))
    assert len(trained) == everything - everything // HOLD_OUT_EVERY
