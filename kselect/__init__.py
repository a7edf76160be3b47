"""kselect: learned knowledge selection for distilling transformer encoders."""
