"""Sentences word by word: column files, treebanks and token labels; tagging schemes, dependency trees, their scores."""

from kselect.tasks.words.columns import ColumnFile, read_columns
from kselect.tasks.words.constants import ConstantTree, constant_tag
from kselect.tasks.words.schemes import PLAIN, SCHEMES, Span, convert, detect, read_spans, repair, write_spans
from kselect.tasks.words.scores import accuracy, span_scores, tag_scores, tree_scores
from kselect.tasks.words.sentence import Origin, ParsedSentence, TaggedSentence
from kselect.tasks.words.tag_set import IGNORED, TagSet
from kselect.tasks.words.tagged_data import TaggedData, tagged_data
from kselect.tasks.words.tagged_source import TaggedSource
from kselect.tasks.words.token_labels import read_token_labels
from kselect.tasks.words.tree_source import TreeSource
from kselect.tasks.words.treebank import Treebank, read_treebank, universal
from kselect.tasks.words.trees import fault, is_projective

__all__ = [
    "IGNORED",
    "PLAIN",
    "SCHEMES",
    "ColumnFile",
    "ConstantTree",
    "Origin",
    "ParsedSentence",
    "Span",
    "TagSet",
    "TaggedData",
    "TaggedSentence",
    "TaggedSource",
    "TreeSource",
    "Treebank",
    "accuracy",
    "constant_tag",
    "convert",
    "detect",
    "fault",
    "is_projective",
    "read_columns",
    "read_spans",
    "read_token_labels",
    "read_treebank",
    "repair",
    "span_scores",
    "tag_scores",
    "tagged_data",
    "tree_scores",
    "universal",
    "write_spans",
]
