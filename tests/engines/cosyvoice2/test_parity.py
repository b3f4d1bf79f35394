"""Numbers measured on upstream: every case of the shared folder, through `python -m benchmarks parity`."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.parity import cases_of, run_case
from benchmarks.parity.cosyvoice2_sessions import upstream_chunks, upstream_source
from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift
from tests.engines.cosyvoice2.tiny_folder import _normed


def test_shared_cases(shared_dir: Path) -> None:
    cases = cases_of(shared_dir / "fixtures" / "cosyvoice2")
    results = [run_case(case) for case in cases]
    assert len(results) >= 8
    assert {result["family"] for result in results} == {"cosyvoice"}
    assert not [result for result in results if not result["passed"]]


@pytest.mark.parametrize("kind", ["flow", "dit_flow"])
def test_cases_that_are_not_in_the_folder(
    request: pytest.FixtureRequest, kind: str, hift: Hift, prompt: Prompt, tmp_path: Path
) -> None:
    """Whole flows of both versions and a streaming session are told apart by their inputs; a wrong number shows."""
    flow: Flow = request.getfixturevalue(kind)
    tokens = torch.arange(30)[None] % 20
    torch.manual_seed(6)
    chunks = list(upstream_chunks(flow, hift, upstream_source, tokens, prompt))
    values = {
        "token": tokens,
        "prompt_token": prompt.tokens,
        "prompt_feat": prompt.mel.transpose(1, 2),
        "embedding": prompt.embedding,
        "mel_stream1": flow.mel(tokens, prompt, block=True),
        "mel_stream0": flow.mel(tokens, prompt, block=False),
        "mel_more_to_come": flow.mel(tokens, prompt, block=True, final=False),
        "session_wav": torch.cat(chunks, dim=-1),
    }
    values |= {f"flow.{name}": tensor for name, tensor in flow.state_dict().items()}
    values |= {f"hift.{name.removeprefix('generator.')}": x for name, x in _normed(hift.state_dict()).items()}
    about = {"upstream": "CosyVoice", "chunk": 5, "num_heads": 2, "seed": 6}
    (tmp_path / "a.json").write_text(json.dumps(about), encoding="utf-8")
    save_file({name: value.clone().contiguous() for name, value in values.items()}, tmp_path / "a.safetensors")
    (case,) = cases_of(tmp_path)
    result = run_case(case)
    assert result["passed"], [q for q in result["quantities"] if not q["passed"]]
    assert {q["name"] for q in result["quantities"]} == {n for n in values if n.startswith(("mel_", "session"))}

    values["mel_stream1"] = values["mel_stream1"] + 0.01
    save_file({name: value.clone().contiguous() for name, value in values.items()}, tmp_path / "a.safetensors")
    assert not run_case(cases_of(tmp_path)[0])["passed"]
