"""The tab of a transcription says what to do where there is no model."""

from ui.cutting.transcribe import models_html
from ui.texts import texts


def test_without_a_model_the_page_says_how_to_import_one() -> None:
    known = {"whisper": [("whisper-small", False, "copy <it> there")], "parakeet": [("parakeet-v3", True, "")]}
    html = models_html(texts("en"), known, "whisper")
    assert "no model" in html
    assert "copy &lt;it&gt; there" in html
    assert "no model" not in models_html(texts("en"), known, "parakeet")
