"""Algorithm 1: a night picture in the context of a day picture of the same view."""

import torch
from torch import Tensor

from lib.checks import check_image, check_same_grid
from lib.context_fusion.fit import apply_colour, fit_colour, fit_offset
from lib.context_fusion.importance import importance_of
from lib.context_fusion.reconstruct import Fusion, reconstruct
from lib.context_fusion.settings import ImageSettings

DEFAULT = ImageSettings()


def fuse_image(
    night: Tensor, day: Tensor, *, reference: Tensor | None = None, settings: ImageSettings = DEFAULT
) -> Fusion:
    """Night picture fused with a day picture: importance, mixed gradients, Poisson reconstruction, colour fit.

    night, day: (3, H, W), RGB, 0..1, the same view and size. reference: the empty night view, for the rule `reference`.
    Returns a Fusion in the night's dtype and on its device. Source: Algorithm 1, sec. 2 and 3.
    Raises ShapeError for other shapes or ranges, SpecError when the rule `reference` comes without a reference.
    """
    check_image("night", night)
    check_image("day", day)
    check_same_grid("night", night, "day", day)
    if reference is not None:
        check_image("reference", reference)
        check_same_grid("night", night, "reference", reference)
    if settings.register:
        from lib.context_fusion.registration import register_day

        day = register_day(day, night).day
    importance = importance_of(night, day, reference, settings)
    reconstruction = reconstruct(night, day, importance, settings)
    target = torch.lerp(day, night, importance)
    c1, c2 = fit_colour(reconstruction, target) if settings.colour_fit else fit_offset(reconstruction, target)
    return Fusion(apply_colour(reconstruction, c1, c2, overwrite=True), importance, target)
