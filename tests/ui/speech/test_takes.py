"""The list of takes as it is drawn."""

from pathlib import Path

from core.speech.takes import Part, Take, TakeStore
from ui.sentences import said
from ui.speech.takes import takes_html
from ui.texts import texts

TAKE = Take(id="20261121-1", created_at=1.0, text="<b>hi</b> there", engine="voxcpm", model="m", seed=3,
            sample_rate_hz=1000, n_samples=2500, first_s=0.25, work_s=5.0, state="stopped",
            parts=[Part(start=0, end=1000, text="<i>"), Part(start=1000, end=2500, text="there")],
            warnings=["too <long>"])  # fmt: skip


def test_empty_says_what_to_do(tmp_path: Path) -> None:
    assert texts("zh")("speech.no_takes") in takes_html(texts("zh"), TakeStore(tmp_path), [], None)


def test_rows_and_sentences(tmp_path: Path) -> None:
    t = texts("en")
    closed = takes_html(t, TakeStore(tmp_path), [TAKE], None)
    assert "&lt;b&gt;hi" in closed
    assert "<b>hi" not in closed
    assert "RTF 2.00" in closed
    assert "seed 3" in closed
    assert t("speech.stopped") in closed
    assert "ts-parts" not in closed
    opened = takes_html(t, TakeStore(tmp_path), [TAKE], TAKE.id)
    assert opened.count('data-act="mend"') == 2
    assert 'data-sentence="1"' in opened
    assert "1.5 s" in opened
    assert "too &lt;long&gt;" in opened


def test_what_is_told_of_files_speaks_chinese() -> None:
    t = texts("zh")
    told = [
        "It is 2.1 s long; 3 s or more give a closer likeness.",
        "It is noisy (9 dB above the noise); the noise is imitated too.",
        "Its words are too few for 5.2 s: check that they are what is said in it.",
        "Cue 3 starts 1.2 s late: what is said before it is too long.",
        "Cue 2: Sentence 1 did not come to an end by itself: Good night.",
    ]
    for sentence in told:
        assert any("\u4e00" <= char <= "\u9fff" for char in said(t, sentence)), sentence
