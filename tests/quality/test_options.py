"""What may be asked of the gate, and that a wrong wish is named."""

import pytest

from core.errors import BadInput
from core.quality.options import QaOptions, parse_qa_options


def test_the_defaults_change_nothing() -> None:
    options = parse_qa_options({})
    assert options == QaOptions()
    assert (options.apply, options.report, options.asr, options.speaker) == (False, None, None, "auto")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"workers": -1}, "workers"),
        ({"workers": 65}, "workers"),
        ({"language": "fr"}, "language"),
        ({"text_language": "x" * 21}, "text_language"),
        ({"apply": "perhaps"}, "apply"),
        ({"report": 5}, "report"),
        ({"snr_review_db": 18}, "snr_review_db"),
    ],
)
def test_what_cannot_be_is_named(data: dict[str, object], named: str) -> None:
    with pytest.raises(BadInput) as err:
        parse_qa_options(data)
    assert f"{named}:" in err.value.message
    assert "thresholds" in err.value.hint, "a limit given as an option is told where it belongs"
