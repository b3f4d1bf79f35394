"""schemathesis over the OpenAPI document: whatever is asked, no 5xx but documented ones, and nothing undocumented."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api.server import build_app
from core.settings import load_settings
from core.studio import Studio

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance, unsupported_method),
]
HOST = {"Host": "127.0.0.1"}
LEAST = 40


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """Of an application without models; it has one character, so that names can be met."""
    folder = tmp_path_factory.mktemp("contract")
    given_settings = {"workspace": str(folder / "ws"), "pretrain_dir": str(folder / "none"), "speech_deadline_s": 5}
    studio = Studio(load_settings(given_settings, env={}))
    studio.create_voice("bob")
    app = build_app(studio, with_page=False)
    yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)
    studio.close()


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_every_operation_keeps_its_word(schema: schemathesis.BaseSchema, examples: int) -> None:
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples < 100,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.headers["Host"] = HOST["Host"]
            case.call_and_validate(checks=CHECKS)

        ask()
        tried += 1
    assert tried >= LEAST, "operations are missing from the document"
