"""Nocturne: five vision papers about seeing in the dark and finding what moves."""

from typing import TYPE_CHECKING

from lib.errors import DataMissing, LabError, ShapeError, SpecError, Unavailable
from lib.paths import Paths, paths

if TYPE_CHECKING:
    import torch

__version__ = "0.1.0"
__all__ = ["DataMissing", "LabError", "Paths", "ShapeError", "SpecError", "Unavailable", "device", "paths"]


def device(name: str = "auto") -> "torch.device":
    """Device to compute on: `auto` takes cuda, then mps, then cpu; any other name is taken as it is.

    Raises SpecError for a name that torch does not know and Unavailable for a device that is not here.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        if name.split(":")[0] in ("cuda", "mps", "cpu"):
            raise Unavailable(f"device {name!r} is not on this machine; use 'auto' or 'cpu'") from error
        raise SpecError(f"device must be auto, cpu, cuda, cuda:N or mps: got {name!r}") from error
    return chosen
