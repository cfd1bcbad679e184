"""Learnable contextual regularisation for semantic segmentation (paper 004).

The modules follow the paper: directional (kernels, eq. 9), context_loss and regularization (eqs 1 to 8), the hosts fcn
and segnet on vgg, networks, recipes and train (sec. 3), segment and apply; minimum cleans what they find. compare and
camvid_experiment set hosts with and without the regulariser side by side; comparison, nyu_protocol, claims and
table_figures make the tables of that.
"""

from lib.context_reg.fcn import FCN32s, FusedFCN32s
from lib.context_reg.networks import NetworkSettings, load_network
from lib.context_reg.regularization import ContextTerms, ContextualRegularization
from lib.context_reg.segment import segment_image, segment_video
from lib.context_reg.segnet import SegNet
from lib.context_reg.settings import RegularizationSettings
from lib.data.hha import hha_encode

__all__ = [
    "ContextTerms",
    "ContextualRegularization",
    "FCN32s",
    "FusedFCN32s",
    "NetworkSettings",
    "RegularizationSettings",
    "SegNet",
    "hha_encode",
    "load_network",
    "segment_image",
    "segment_video",
]
