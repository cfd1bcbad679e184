"""Optical flow: estimators behind one call, warping, occlusion, end-point error, colour wheel and files.

Forms: images (B, 3, H, W), RGB, 0..1; flow (B, 2, H, W), pixels, x then y. `flow_ab` lives on a's grid and says where
a's pixel is in b.
"""

from lib.flow.colour import flow_to_rgb
from lib.flow.error import endpoint_error, endpoint_error_map, outlier_fraction
from lib.flow.estimator import FlowEstimator, FlowName, estimate_downscaled, load_flow
from lib.flow.files import FlowField, read_flow, read_flow_field, write_flow
from lib.flow.occlusion import occlusion
from lib.flow.warp import resize_flow, warp

__all__ = [
    "FlowEstimator",
    "FlowField",
    "FlowName",
    "endpoint_error",
    "endpoint_error_map",
    "estimate_downscaled",
    "flow_to_rgb",
    "load_flow",
    "occlusion",
    "outlier_fraction",
    "read_flow",
    "read_flow_field",
    "resize_flow",
    "warp",
    "write_flow",
]
