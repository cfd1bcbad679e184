"""Learnable contextual regularisation for semantic segmentation (paper 004)."""

from lib.context_reg.regularization import ContextTerms, ContextualRegularization
from lib.context_reg.settings import RegularizationSettings

__all__ = ["ContextTerms", "ContextualRegularization", "RegularizationSettings"]
