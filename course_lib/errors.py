"""Errors a student can act on: one sentence that says what is wrong and what to do."""


class CourseError(Exception):
    """Base of every error this library raises on purpose; the command line prints it without a traceback."""


class DataError(CourseError):
    """A data file or folder is missing, damaged or not what it should be."""


class WeightsError(CourseError):
    """A weights file is missing, damaged, altered, or belongs to something else."""


class NonFiniteLoss(CourseError):
    """Training produced a NaN or an infinity and was stopped before the weights were touched."""
