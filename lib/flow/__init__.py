"""Optical flow: estimators behind one call, warping, occlusion, end-point error, colour wheel and files.

Forms: images (B, 3, H, W), RGB, 0..1; flow (B, 2, H, W), pixels, x then y. `flow_ab` lives on a's grid and says where
a's pixel is in b.
"""

from lib.flow.estimator import FlowEstimator, estimate_downscaled, load_flow
from lib.flow.warp import resize_flow, warp

__all__ = ["FlowEstimator", "estimate_downscaled", "load_flow", "resize_flow", "warp"]
