"""Zero-TIG: zero-shot, illumination-guided, temporally consistent enhancement of low-light and underwater video.

Li and Anantrasirichai, "Zero-TIG: Temporal Consistency-Aware Zero-Shot Illumination-Guided Low-light Video
Enhancement", arXiv 2503.11175. The modules follow the paper: settings, downsample, networks, model (one frame taken
apart), temporal (feedback by optical flow), filters and losses, train, enhance.
"""

from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.enhance import Enhancer, enhance_video, fine_tuning_start
from lib.zero_tig.losses import brightness, losses
from lib.zero_tig.model import Enhancement, State, TrainingPass, ZeroIG, ZeroTIG
from lib.zero_tig.settings import LossWeights, Settings
from lib.zero_tig.temporal import Alignment, equalise
from lib.zero_tig.train import Diverged, Step, Trainer
from lib.zero_tig.weights import inflate, load_weights, save_weights

__all__ = [
    "Alignment",
    "Diverged",
    "Enhancement",
    "Enhancer",
    "LossWeights",
    "Settings",
    "State",
    "Step",
    "Trainer",
    "TrainingPass",
    "ZeroIG",
    "ZeroTIG",
    "brightness",
    "enhance_video",
    "equalise",
    "fine_tuning_start",
    "inflate",
    "load_weights",
    "losses",
    "pair_downsample",
    "save_weights",
]
