import pytest

from lib.bench import doctor, provenance
from lib.bench.doctor import Check, examine


def by_name() -> dict[str, Check]:
    return {check.name: check for check in examine()}


def test_a_good_machine_has_nothing_bad(toys, nocturne):
    toys.write()
    answer = nocturne("doctor")
    assert answer.code == 0, answer.out
    assert not [line for line in answer.out.splitlines() if line.startswith("bad")]
    for word in ("torch", "device", "threads", "pyamg", "reference data", "runs folder"):
        assert word in answer.out


def test_everything_that_is_not_good_says_what_to_do(toys, nocturne, monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setenv("NOCTURNE_REFERENCE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", "")
    (tmp_path / "out").write_text("a file in the way")
    checks = by_name()
    for name in ("no-such-package", "notebooks", "runs folder"):
        assert checks[name].mark == "bad", checks[name]
    for name in ("pyamg", "reference data", "git commit"):
        assert checks[name].mark == "--", checks[name]
    assert all(check.advice for check in checks.values() if not check.is_good)
    assert "set NOCTURNE_OUT" in checks["runs folder"].advice
    assert nocturne("doctor").code == 1


def test_a_gpu_that_torch_cannot_use_is_named(toys, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(provenance, "gpu_model", lambda: "Fast Card")
    assert "a Fast Card is here but torch" in by_name()["device"].advice
