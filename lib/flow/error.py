"""How far a flow is from the truth."""

from torch import Tensor

from lib.checks import check_form, check_planes, check_same_grid
from lib.errors import ShapeError

OUTLIER_PX = 3.0


def endpoint_error(flow: Tensor, truth: Tensor, *, valid: Tensor | None = None) -> float:
    """Mean length in pixels of flow - truth over the valid pixels of all fields together (AEE, EPE).

    flow, truth: (B, 2, H, W), pixels, finite where valid. valid: bool (B, H, W) or (H, W); all pixels if None.
    Raises ShapeError for other shapes, no valid pixel or values that are not finite.
    """
    return _over_valid(endpoint_error_map(flow, truth), valid).mean().item()


def outlier_fraction(
    flow: Tensor, truth: Tensor, *, valid: Tensor | None = None, threshold_px: float = OUTLIER_PX
) -> float:
    """Share (0..1) of the valid pixels whose end-point error is above `threshold_px`; arguments as above.

    Protocol: the plain 3-pixel rule; KITTI's Fl-all asks for 5 % of the true length as well.
    """
    return (_over_valid(endpoint_error_map(flow, truth), valid) > threshold_px).double().mean().item()


def endpoint_error_map(flow: Tensor, truth: Tensor) -> Tensor:
    """Length of flow - truth at each pixel, (B, H, W), pixels. Raises ShapeError for other shapes."""
    check_form("flow", flow, 4)
    check_form("truth", truth, 4)
    check_same_grid("flow", flow, "truth", truth)
    if flow.shape != truth.shape or flow.shape[1] != 2:
        raise ShapeError(f"flow and truth must both be (B, 2, H, W): got {tuple(flow.shape)} and {tuple(truth.shape)}")
    return (flow - truth).norm(dim=1)


def _over_valid(errors: Tensor, valid: Tensor | None) -> Tensor:
    """The errors that count, as float64 (pixels)."""
    if valid is not None:
        if valid.dtype.is_floating_point or valid.shape not in (errors.shape, errors.shape[1:]):
            raise ShapeError(
                f"valid must be bool {tuple(errors.shape)} or {tuple(errors.shape[1:])}: "
                f"got {valid.dtype} {tuple(valid.shape)}"
            )
        errors = errors[valid.bool().to(errors.device).expand_as(errors)]
        if errors.numel() == 0:
            raise ShapeError("valid must mark at least one pixel: got none")
    check_planes("the end-point error", errors[None].flatten(1))
    return errors.double()
