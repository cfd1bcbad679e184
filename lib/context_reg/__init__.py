"""Learnable contextual regularisation for semantic segmentation (paper 004)."""
