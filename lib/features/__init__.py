"""Patch features of pictures: DINO's, and those of ImageNet networks that stand in where DINO's weights are missing."""

from lib.features.cache import CachedExtractor, FeatureCache, cached
from lib.features.extractor import NAMES, STAND_INS, FeatureExtractor, FeatureName, PatchFeatures, load_features

__all__ = [
    "NAMES",
    "STAND_INS",
    "CachedExtractor",
    "FeatureCache",
    "FeatureExtractor",
    "FeatureName",
    "PatchFeatures",
    "cached",
    "load_features",
]
