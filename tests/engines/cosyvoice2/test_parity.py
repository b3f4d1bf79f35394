"""Numbers measured on upstream: every case of the shared folder, through `python -m benchmarks parity`."""

from pathlib import Path

from benchmarks.parity import cases_of, run_case


def test_shared_cases(shared_dir: Path) -> None:
    cases = cases_of(shared_dir / "fixtures" / "cosyvoice2")
    results = [run_case(case) for case in cases]
    assert len(results) >= 8
    assert {result["family"] for result in results} == {"cosyvoice"}
    assert not [result for result in results if not result["passed"]]
