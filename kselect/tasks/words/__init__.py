"""Sentences word by word: column files, treebanks and token labels; tagging schemes, dependency trees, their scores."""

from kselect.tasks.words.conll import ColumnFile, read_columns
from kselect.tasks.words.conllu import Treebank, find_tree_error, is_projective, read_treebank, universal
from kselect.tasks.words.hub_dataset import read_token_labels
from kselect.tasks.words.metrics import ConstantTree, accuracy, constant_tag, span_scores, tag_scores, tree_scores
from kselect.tasks.words.parsing_files import TreeSource
from kselect.tasks.words.schemes import (
    IGNORED,
    PLAIN,
    SCHEMES,
    Span,
    TagSet,
    convert,
    detect,
    read_spans,
    repair,
    write_spans,
)
from kselect.tasks.words.sentence import Origin, ParsedSentence, TaggedSentence
from kselect.tasks.words.tagged_data import TaggedData, tagged_data
from kselect.tasks.words.tagging_files import TaggedSource

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
    "find_tree_error",
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
