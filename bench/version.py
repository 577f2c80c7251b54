"""The version, alone in a file so that nothing needs importing to read it."""

__version__ = "0.2.0"
