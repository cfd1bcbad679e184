"""What every test may ask for: a device, the reference material, golden data, and a place to write."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")
# OpenCV's reference values come from a machine with AVX2; its IPP rounds some of them differently with AVX-512
os.environ.setdefault("OPENCV_IPP", "avx2")


@cache
def available_devices() -> tuple[str, ...]:
    """The CPU, and the GPU where there is one; TF32 off, because golden tolerances are those of float32."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `device` runs once on each device of this machine."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", available_devices(), indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> "torch.device":
    """torch.device to compute on: the same test runs on the CPU and, where there is one, on the GPU."""
    import torch

    return torch.device(request.param)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference material: NOCTURNE_REFERENCE, or `shared` beside the checkout."""
    named = os.environ.get("NOCTURNE_REFERENCE")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip("no reference material: set NOCTURNE_REFERENCE to the folder that holds golden/ and realdata/")
    return folder


@pytest.fixture(scope="session")
def golden(reference: Path) -> Callable[[str], Any]:
    """Loader of golden data: golden("fusion/fusion.npz")["day"] is an array, golden("fusion/fusion.json") a dict."""

    @cache
    def load(name: str) -> Any:
        path = reference / "golden" / name
        if not path.is_file():
            pytest.skip(f"golden/{name} is not in the reference material; set NOCTURNE_REFERENCE to a complete copy")
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        return np.load(path)

    return load


@pytest.fixture(autouse=True, scope="session")
def scratch_output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs and reports of tests go to a temporary folder, never into the checkout."""
    folder = tmp_path_factory.mktemp("nocturne_out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTURNE_OUT", str(folder))
        yield folder
