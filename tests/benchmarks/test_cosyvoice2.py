"""The page of the CosyVoice2 benchmark."""

from benchmarks.cosyvoice2 import markdown


def test_the_page_sets_each_block_beside_solving_all_again() -> None:
    figures = {
        "device": "cpu",
        "threads": 2,
        "prepare_prompt_s": 1.5,
        "first_chunk_s": 2.25,
        "rtf": 3.0,
        "blocks": [{"at_s": 0, "s": 2.5, "flow_s": 2.0}, {"at_s": 1, "s": 2.6, "flow_s": 2.1}],
        "solving_all_again_s": {"1 s": 3.0, "end": 9.0},
    }
    page = markdown(figures)
    assert "| 0 | 2.50 | 2.00 |\n| 1 | 2.60 | 2.10 |" in page
    assert "1 s 3.0 s, end 9.0 s" in page
    assert "2.25 s" in page
