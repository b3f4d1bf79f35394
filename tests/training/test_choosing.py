"""The suggested checkpoint follows what was measured, names its reasons, and admits doubt."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from core.training.choosing import FIGURES, probe_rows, suggest


def rows(**figures: list[float]) -> list[dict[str, float]]:
    count = len(next(iter(figures.values())))
    return [
        {"step": 100 * (i + 1), **{f"probe/{name}": values[i] for name, values in figures.items()}}
        for i in range(count)
    ]


def test_several_figures_together_choose_and_say_why() -> None:
    metrics = rows(
        mel_distance=[0.9, 0.6, 0.5, 0.49, 0.8],
        speaker_similarity=[0.5, 0.7, 0.9, 0.6, 0.6],
        level_db=[-6.0, -2.0, 0.1, 3.0, 4.0],
    )
    found = suggest([*metrics, {"step": 450, "loss/g/total": 0.1}], [100, 200, 300, 400, 500])
    assert found is not None
    assert found.step == 300
    assert any("place 2 of 5" in reason for reason in found.reasons)
    assert any("likeness" in reason and "place 1" in reason for reason in found.reasons)
    assert any("later steps measure worse" in reason for reason in found.reasons)
    assert found.ranking[0].step == 300


def test_only_what_is_still_there_is_suggested() -> None:
    metrics = rows(mel_distance=[0.5, 0.3, 0.4])
    found = suggest(metrics, [100, 300])
    assert found is not None
    assert found.step == 300
    assert any("step 200 measured better, but its checkpoint is gone" in r for r in found.reasons)
    assert any("training longer may help" in r for r in found.reasons)


def test_two_that_measure_alike_are_left_to_the_ear() -> None:
    found = suggest(rows(mel_distance=[0.9, 0.5, 0.501, 0.7, 0.6]), [100, 200, 300, 400, 500])
    assert found is not None
    assert not found.sure
    assert any("by ear" in reason for reason in found.reasons)
    clear = suggest(rows(mel_distance=[0.9, 0.3, 0.88, 0.85, 0.9]), [100, 200, 300, 400, 500])
    assert clear is not None
    assert clear.sure


def test_without_measures_there_is_no_suggestion() -> None:
    assert suggest([], [100]) is None
    assert suggest([{"step": 100, "loss/g/total": 1.0}], [100]) is None
    assert suggest(rows(mel_distance=[0.5]), []) is None


@given(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=20))
def test_one_figure_alone_suggests_its_best(values: list[float]) -> None:
    metrics = rows(mel_distance=values)
    found = suggest(metrics, probe_rows(metrics))
    assert found is not None
    best = min(values)
    # Beyond three deviations nothing is told apart any more.
    assert found.ranking[0].score >= max(row.score for row in found.ranking if row.figures["mel_distance"] == best)


@given(st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_step_that_is_best_in_every_figure_is_suggested(best: int, draw: Random) -> None:
    signs = {figure.name: figure.sign for figure in FIGURES}
    values = {name: [draw.uniform(1.0, 2.0) for _ in range(10)] for name in signs}
    for name, sign in signs.items():
        values[name][best] = 3.0 if sign > 0 else 0.5
    found = suggest(rows(**values), [100 * (i + 1) for i in range(10)])
    assert found is not None
    assert found.step == 100 * (best + 1)
    assert sum("place 1 of 10" in reason for reason in found.reasons) == len(FIGURES)


def test_what_is_heard_outweighs_a_slightly_better_level() -> None:
    found = suggest(
        rows(
            speaker_similarity=[0.60, 0.61, 0.62, 0.80],
            wer=[0.30, 0.29, 0.31, 0.05],
            level_db=[0.0, 0.1, 0.2, 2.5],
        ),
        [100, 200, 300, 400],
    )
    assert found is not None
    assert found.step == 400
    assert any("word errors: 0.05, place 1 of 4" in reason for reason in found.reasons)


def test_a_figure_that_some_steps_lack_takes_no_part() -> None:
    metrics = rows(mel_distance=[0.9, 0.5, 0.7])
    metrics[0]["probe/dnsmos"] = 5.0  # the package was there for one save only
    found = suggest(metrics, [100, 200, 300])
    assert found is not None
    assert found.step == 200
    assert not any("DNSMOS" in reason for reason in found.reasons)
