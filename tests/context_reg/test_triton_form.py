"""The Triton form of the context loss: that it is the same function as `block_form`, and that it compiles.

On a CUDA machine the kernels run there. Without one Triton's interpreter runs them, in a process of its own, because
the package decides at its import whether it interprets; and the compiler makes code for GPUs that are not there.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from lib.context_reg import block_form, triton_form
from lib.context_reg import context_loss as module
from lib.context_reg.context_loss import context_loss
from lib.context_reg.directional import initial_kernels
from tests.context_reg.test_context_loss import LAMBDA, SIGMA, assert_close, random_case

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs the package triton, which torch brings on Linux"
)

ROOT = Path(__file__).parents[2]
NUMBERS = ("channels", "height", "width", "stride", "count")
INTERPRETED = """
import sys, torch
from tests.context_reg.test_triton_form import CASES, computed, triton_form
torch.save([computed(case, triton_form, torch.device("cpu"), torch.float32) for case in CASES], sys.argv[1])
"""


@dataclass(frozen=True)
class Case:
    """Pictures of which `ignored` is left out; `guided`: the picture asks for its gradient too."""

    size: tuple[int, int]
    num_kernels: int
    batch: int = 1
    classes: int = 3
    ignored: float | None = None
    guided: bool = False
    flat: bool = False  # to the left and right, where its kernels look


# one pixel, one line, more kernels than are done in one go, several tiles each way, kernels that never respond
CASES = [
    Case((1, 1), 4, classes=1),
    Case((1, 2), 1, guided=True),
    Case((3, 1), 9, ignored=0.3),
    Case((5, 6), 8, batch=2, guided=True),
    Case((9, 34), 7, classes=2, ignored=0.3),
    Case((7, 6), 2, ignored=0.1, flat=True),
]


def computed(case: Case, form: ModuleType, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Loss and gradients on the CPU."""
    parts = random_case(size=case.size, classes=case.classes, batch=case.batch, num_kernels=case.num_kernels)
    probabilities, image, kernels = (part.detach() for part in parts)
    if case.flat:
        probabilities = probabilities[..., :1].expand(probabilities.shape)
        kernels = 0.3 * initial_kernels("differences")[[3, 4]].float()  # no powers of two: products are rounded
    probabilities, image, kernels = (
        part.to(device, dtype).requires_grad_(wants)
        for part, wants in [(probabilities, True), (image, case.guided), (kernels, True)]
    )
    ignore = None
    if case.ignored is not None:
        ignore = torch.rand(case.batch, *case.size, generator=torch.Generator().manual_seed(1)) < case.ignored
        ignore = ignore.to(device)
    wanted = [each for each in (probabilities, image, kernels) if each.requires_grad]
    with patch.object(module, "_form", lambda _: form):
        loss = context_loss(probabilities, image, kernels, kernels, sigma=SIGMA, scale=LAMBDA, ignore=ignore)
    return [each.detach().cpu() for each in (loss, *torch.autograd.grad(loss, wanted))]


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> list[list[Tensor]]:
    """What Triton's interpreter computes of all cases."""
    file = tmp_path_factory.mktemp("interpreted") / "results.pt"
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", INTERPRETED, str(file)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results: list[list[Tensor]] = torch.load(file)
    return results


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_form_of_torchs_operations(
    case: Case, device: torch.device, request: pytest.FixtureRequest
) -> None:
    """In float64, to the tolerance of the compiled form for the CPU. Where nothing responds, both are exactly 0."""
    if device.type == "cuda":
        found = computed(case, triton_form, device, torch.float32)
    else:
        found = request.getfixturevalue("interpreted")[CASES.index(case)]
    assert_close(found, computed(case, block_form, torch.device("cpu"), torch.float64), tolerance=2e-5)
    assert (found[0] == 0) == case.flat


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize(
    ("capability", "kernels", "numbers", "rules"),
    [(80, 1, dict.fromkeys(NUMBERS, 1), (0, 1, 2)), (90, 8, {}, (0,))],  # numbers that are 1 become constants
)
def test_compiles_for_a_gpu_that_is_not_here(
    capability: int,
    kernels: int,
    numbers: dict[str, int],
    rules: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from lib.context_reg.triton_kernels import PULL, SIGNS, SQUARES, respond, spread

    try:
        _ = triton.knobs.nvidia.ptxas.path
    except RuntimeError as error:
        pytest.skip(f"needs the assembler for NVIDIA's GPUs that comes with triton: {error}")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    flags = {
        SIGNS: {"rule": SIGNS, "needs_codes": True, "needs_sums": True},
        SQUARES: {"rule": SQUARES, "needs_codes": False, "needs_sums": False},
        PULL: {"rule": PULL, "needs_codes": False, "needs_sums": True},
    }
    for kernel, special in [(spread, {"adds": True}), *((respond, flags[rule]) for rule in rules)]:
        values = {**special, **numbers, "has_known": True, "kernels": kernels}
        types = {"codes": "*i16"} | dict.fromkeys(NUMBERS, "i32") | dict.fromkeys(values, "constexpr")
        signature = {name: types.get(name, "*fp32") for name in kernel.arg_names}
        compiled = triton.compile(ASTSource(kernel, signature, values), target=GPUTarget("cuda", capability, 32))
        assert len(compiled.asm["cubin"]) > 0


@pytest.mark.parametrize("available", [True, False])
def test_who_computes_on_a_gpu(available: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_form, "works_on", lambda device: available and device.type == "cuda")
    planes = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    assert module._form(planes) is (triton_form if available else block_form)
    exact = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float64)
    assert module._form(exact) is block_form


@pytest.mark.parametrize("fault", ["none", "a wrong number", "an error"])
def test_a_device_that_computes_something_else_is_left_to_torch(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def class_terms(*arguments: Any) -> Any:
        if fault == "an error":
            raise RuntimeError("no such instruction")
        loss, shares, gradient, on_coefficients = block_form.class_terms(*arguments)
        if fault == "a wrong number":
            gradient[0, 0, 0, 0] += 1
        return loss, shares, gradient, on_coefficients

    monkeypatch.setattr(triton_form, "is_available", lambda: True)
    monkeypatch.setattr(triton_form, "class_terms", class_terms)
    with caplog.at_level("WARNING"):
        assert triton_form.works_on.__wrapped__(torch.device("cpu")) == (fault == "none")
    said = {"none": "", "a wrong number": "are wrong on cpu", "an error": "no such instruction"}
    assert said[fault] in caplog.text
    assert bool(caplog.text) == (fault != "none")


def test_not_available_without_the_package_or_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    examine = triton_form.is_available.__wrapped__
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(triton_form.sysconfig, "get_config_var", lambda _: str(tmp_path))
    monkeypatch.setattr(triton_form, "find_spec", lambda name: name)
    monkeypatch.setenv("CC", "cc")
    assert examine()
    monkeypatch.setattr(triton_form, "find_spec", lambda _: None)
    assert not examine()
    monkeypatch.setattr(triton_form, "find_spec", lambda name: name)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    assert not examine()
