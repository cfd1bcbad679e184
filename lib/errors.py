"""Errors that a user can cause or cure: each says what was expected, what came and what to do."""


class LabError(Exception):
    """Root of every error that this project raises on purpose."""


class ShapeError(LabError, ValueError):
    """A tensor of the wrong shape, type or range."""


class SpecError(LabError, ValueError):
    """A setting, parameter or profile that does not exist or is out of range."""


class DataMissing(LabError, FileNotFoundError):
    """A file, folder or data set that is absent, empty or unreadable."""


class Unavailable(LabError, RuntimeError):
    """Weights, a GPU or an optional package that this machine does not have."""
