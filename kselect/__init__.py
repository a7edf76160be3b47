"""kselect: learned knowledge selection for distilling transformer encoders."""

__version__ = "0.1.0"
