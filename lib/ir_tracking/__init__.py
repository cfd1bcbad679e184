"""Infrared small targets in oversampled scanning images: background filter, scan simulator, Siamese tracker.

The modules follow the paper: background (eqs 2 to 4, with shifts), network, crops and anchors (eqs 5 to 10), losses and
train (eqs 11, 12), tracker; simulator and scan_* make scans with known truth, which the paper doesn't have.
"""

from lib.ir_tracking.background import BackgroundSuppression, suppress_background
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import Scan, ScanSimulator, TargetScan
from lib.ir_tracking.stills import StillScores, score_stills
from lib.ir_tracking.tracker import Track, Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import load_network

__all__ = [
    "BackgroundSuppression",
    "FilterSettings",
    "Scan",
    "ScanSettings",
    "ScanSimulator",
    "SiameseNetwork",
    "StillScores",
    "TargetScan",
    "Track",
    "Tracker",
    "TrackerSettings",
    "load_network",
    "score_stills",
    "suppress_background",
]
