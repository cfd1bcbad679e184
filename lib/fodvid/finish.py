"""Edges of a mask drawn to those of its frame, table 4's post-processing; off by default, as in the paper."""

import torch
from torch import Tensor

from lib.errors import SpecError
from lib.fodvid.bilateral import bilateral_solve
from lib.fodvid.crf import dense_crf
from lib.metrics import jaccard

# a finished mask that has less than this in common with the coarse one is taken for a failure (LOCATE)
KEEP_IOU = 0.5


def finish_mask(finish: str, mask: Tensor, frame: Tensor) -> Tensor:
    """Mask (H, W) bool of a frame (3, H, W), RGB, 0..1, as it is or finished.

    finish: `none`; `crf`, a dense CRF, holes filled (LOCATE); `bilateral`, the bilateral solver (TokenCut).
    Choice: where the finished mask and the coarse one have an intersection over union below 0.5, the coarse one stays;
    LOCATE empties it, because it only chooses masks to train on. Raises SpecError for another name.
    """
    from scipy import ndimage

    if finish == "none":
        return mask
    if finish == "crf":
        labelled = dense_crf(frame, mask) > 0.5
        finished = torch.from_numpy(ndimage.binary_fill_holes(labelled.cpu().numpy())).to(mask.device)
    elif finish == "bilateral":
        finished = bilateral_solve(frame, mask).mask
    else:
        raise SpecError(f"finish must be none, crf or bilateral: got {finish!r}")
    return finished if jaccard(finished, mask) >= KEEP_IOU else mask
