"""Solvers that papers share: Poisson (direct and full multigrid)."""
