"""Augmented texts: copies of the training texts in which some words are replaced, for a teacher to label."""

from kselect.distillation.augmentation.augment import AUGMENTED, RATE, augment, with_augmented
from kselect.distillation.augmentation.masked import MaskedWords
from kselect.distillation.augmentation.neighbours import CANDIDATES, Neighbours

__all__ = ["AUGMENTED", "CANDIDATES", "RATE", "MaskedWords", "Neighbours", "augment", "with_augmented"]
