"""course_lib: what the notebooks of the course teach with. Importing it loads nothing heavy."""

__version__ = "0.1.0"
