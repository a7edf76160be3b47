"""Knowledge by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from importlib.metadata import EntryPoint

from kselect.config import (
    DEFAULT_KNOWLEDGE,
    DEFAULT_OF_WORDS,
    KNOWLEDGE_NAMES,
    PARSER_KNOWLEDGE,
    KnowledgeConfig,
)
from kselect.errors import IncomparableError, KselectError, unknown
from kselect.knowledge.attention import Attention, AttentionScores
from kselect.knowledge.base import Knowledge
from kselect.knowledge.hidden_states import Embeddings, Hidden, HiddenCls, HiddenCosine, StatesKnowledge
from kselect.knowledge.layer_map import parse_layer_map
from kselect.knowledge.logits import Gold, Logits, LogitsMse
from kselect.knowledge.marginals import Marginals, Posterior
from kselect.knowledge.model_pair import Comparison
from kselect.knowledge.relations import KeyRelations, QueryRelations, Relations, ValueRelations
from kselect.knowledge.substructures import BestSequences, Substructures
from kselect.knowledge.target_levels import Confidence, ConfidenceSimilarity, LabelSmoothing, Similarity, TopK
from kselect.knowledge.trees import LatentTrees, ParserTrees
from kselect.models.architecture import check_readable
from kselect.models.classifier import Classifier
from kselect.plugins import PluginRegistry, distribution, load_plugin
from kselect.schedule import Schedule

Builder = Callable[[Comparison], Knowledge]


def _states(kind: type[StatesKnowledge]) -> Builder:
    return lambda pair: kind(pair.layer_map, pair.projection(student for student, _ in pair.layer_map))


def _relations(pair: Comparison) -> Relations:
    return Relations(pair.layer_map, pair.projection([0, *(student for student, _ in pair.layer_map)]))


def _marginals(pair: Comparison) -> Marginals:
    temperature = Schedule.parse(pair.config.marginals_temperature, "marginals_temperature")
    return Marginals(*pair.heads, temperature, pair.config.softening, pair.config.arc_marginals)


def _logits(pair: Comparison) -> Logits:
    pair.check_alike()
    return Logits(Schedule.parse(pair.config.temperature, "temperature"))


def _label_smoothing(pair: Comparison) -> LabelSmoothing:
    pair.check_classes(pair.student)
    return LabelSmoothing(pair.config.label_smoothing)


def _tempered(pair: Comparison) -> Schedule:
    """Return the temperature of a kind that reads the teacher's probabilities of classes."""
    pair.check_alike()
    pair.check_classes(pair.student)
    return Schedule.parse(pair.config.temperature, "temperature")


def _parser_trees(pair: Comparison) -> ParserTrees:
    pair.check_parsed()
    knowledge = ParserTrees(pair.student.layers)
    check_readable(pair.student.model, knowledge.student_needs, f"knowledge {pair.name}")
    return knowledge


def _logits_mse(pair: Comparison) -> LogitsMse:
    pair.check_logits()
    return LogitsMse()


_BUILTIN: dict[str, Builder] = {
    "gold": lambda pair: Gold(),
    "logits": _logits,
    "logits-mse": _logits_mse,
    "hidden": _states(Hidden),
    "hidden-cls": _states(HiddenCls),
    "hidden-cosine": _states(HiddenCosine),
    "embeddings": lambda pair: Embeddings(pair.projection([0])),
    "attention": lambda pair: Attention(pair.layer_map),
    "attention-scores": lambda pair: AttentionScores(pair.layer_map),
    "relations": _relations,
    "query-relations": lambda pair: QueryRelations(pair.layer_map, pair.relation_heads(QueryRelations.output)),
    "key-relations": lambda pair: KeyRelations(pair.layer_map, pair.relation_heads(KeyRelations.output)),
    "value-relations": lambda pair: ValueRelations(pair.layer_map, pair.relation_heads(ValueRelations.output)),
    "latent-trees": lambda pair: LatentTrees(pair.layer_map),
    "label-smoothing": _label_smoothing,
    "kd-sim": lambda pair: Similarity(pair.class_similarities, pair.config.similarity_mass),
    "kd-pt": lambda pair: Confidence(_tempered(pair)),
    "kd-pt-sim": lambda pair: ConfidenceSimilarity(pair.class_similarities, _tempered(pair)),
    "kd-top-k": lambda pair: TopK(pair.config.top_k, _tempered(pair)),
    "parser-trees": _parser_trees,
    "marginals": _marginals,
    "substructures": lambda pair: Substructures(*pair.heads, transitions=pair.config.transitions),
    "posterior": lambda pair: Posterior(*pair.heads),
    "best-sequences": lambda pair: BestSequences(*pair.heads),
}
assert tuple(_BUILTIN) == KNOWLEDGE_NAMES


def _load(plugin: EntryPoint) -> Builder:
    """Return the builder that another package provides: a class of knowledge, or a function of a pair of models."""
    build = load_plugin(plugin)
    if isinstance(build, type) and issubclass(build, Knowledge):
        kind = build
        if kind.name == plugin.name:
            return lambda pair: kind()
    elif callable(build):
        return build
    raise KselectError(
        f"The package {distribution(plugin)} announces the knowledge {plugin.name}, and {plugin.value} is neither a "
        "Knowledge of that name nor a function that builds one: update or uninstall that package."
    )


BUILDERS: PluginRegistry[Builder] = PluginRegistry("kselect.knowledge", _BUILTIN, _load)
"""What builds each kind of knowledge, by name; installed packages add theirs (`kselect.plugins`)."""


def register(kind: type[Knowledge], build: Builder | None = None) -> None:
    """Offer a kind of knowledge of one's own under its `name`, as if it had come with the package.

    Args:
        kind: the class; one registered before under the same name is replaced.
        build: makes it for a pair of models; by default the class is called without arguments.

    Raises:
        ValueError: the name is one that comes with the package.
    """
    if kind.name in KNOWLEDGE_NAMES:
        raise ValueError(f"'{kind.name}' comes with the package: give {kind.__name__} another name.")
    BUILDERS[kind.name] = build or (lambda pair: kind())


def build_knowledge(
    config: KnowledgeConfig,
    student: Classifier,
    teachers: Sequence[Classifier],
    parser: Classifier | None = None,
    is_labelled: bool = True,
) -> tuple[Knowledge, ...]:
    """Make the kinds of knowledge that `config` names, in its order.

    Where it names none, they are the default ones, with a parser its trees and of words what is of words, as far as
    student and teacher have it in common and, unless what is learned from `is_labelled`, it reads no labels.

    Raises:
        KselectError: an unknown kind; a kind that needs a teacher where there is none; a setting for a kind that is not on
            offer or does not read it; models that cannot be compared in a kind that is named.
    """
    kinds = kinds_on_offer(config, student, parser)
    check_kinds(config, kinds)
    if teachers and config.layer_map != KnowledgeConfig.layer_map:
        parse_layer_map(config.layer_map, student.layers, teachers[0].layers)
    built: dict[str, Knowledge] = {}
    obstacles: list[IncomparableError] = []
    for name in kinds:
        try:
            knowledge = _build(Comparison(name, config, student, next(iter(teachers), None), parser), teachers)
            if knowledge.reads_labels and not is_labelled:
                raise IncomparableError(
                    f"knowledge {name} reads labels, which the sentences of unlabelled_file do not have",
                    f"leave out {name}, or unlabelled_file.",
                )
            built[name] = knowledge
        except IncomparableError as error:
            obstacles.append(error)
    if config.knowledge and obstacles:
        first = obstacles[0]
        rest = f" Of what is named, these models have {', '.join(built)} in common." if built else ""
        raise IncomparableError(first.what, first.advice + rest)
    check_kinds(config, built)
    return tuple(built.values())


def kinds_on_offer(config: KnowledgeConfig, student: Classifier, parser: Classifier | None = None) -> tuple[str, ...]:
    """Return the kinds that `config` names, or the default ones, of which these models may not have all in common."""
    if config.knowledge:
        return tuple(config.knowledge)
    beside = DEFAULT_OF_WORDS if student.labels is not None else PARSER_KNOWLEDGE if parser is not None else ()
    return (*DEFAULT_KNOWLEDGE, *beside)


def check_kinds(config: KnowledgeConfig, kinds: Collection[str]) -> None:
    """Refuse kinds that do not exist, and settings of any but `kinds`, which are on offer.

    Raises:
        KselectError: the first of them.
    """
    for name in [*kinds, *config.scales, *config.layer_maps]:
        if name not in BUILDERS:
            raise unknown("knowledge", name, BUILDERS)
    for setting, names in (("scales", config.scales), ("layer_maps", config.layer_maps)):
        for name in names:
            if name not in kinds:
                raise KselectError(
                    f"{setting} names {name}, which is not on offer: add it to knowledge, or drop it here."
                )


def _build(pair: Comparison, teachers: Sequence[Classifier]) -> Knowledge:
    knowledge = BUILDERS[pair.name](pair)
    if pair.name in pair.config.layer_maps and not knowledge.layer_map:
        raise KselectError(f"layer_maps names {pair.name}, which compares no layers by a map: drop it there.")
    needs = knowledge.teacher_needs
    if len(teachers) > 1 and (knowledge.reads_weights or (needs and any(layers for _, layers in needs.items()))):
        raise KselectError(
            f"knowledge {pair.name} reads inside its teachers, and what is inside several has no basis in common: "
            f"offer kinds that read logits, or give one teacher."
        )
    if needs is not None:
        _check_comparable(knowledge, pair)
    if pair.name in pair.config.scales:
        scale = pair.config.scales[pair.name]
        knowledge.scale = None if scale == "measured" else float(scale)
    return knowledge


def _check_comparable(knowledge: Knowledge, pair: Comparison) -> None:
    what, student, teacher = f"knowledge {pair.name}", pair.student, pair.teacher_given
    assert knowledge.teacher_needs is not None
    check_readable(student.model, knowledge.student_needs, what)
    check_readable(teacher.model, knowledge.teacher_needs, what)
    if not knowledge.student_needs.matrices:
        return
    if student.heads != teacher.heads:
        raise IncomparableError(
            f"{what} cannot compare {student.heads} attention heads (student) with {teacher.heads} (teacher)",
            "offer query-relations, key-relations or value-relations, whose heads need not be as many.",
        )
    for here, there in knowledge.layer_map:
        _check_windows(what, student, teacher, here, there)


def _check_windows(what: str, student: Classifier, teacher: Classifier, here: int, there: int) -> None:
    """Refuse to compare attention to all tokens with attention to a window of them."""
    one, other = _attention_type(student, here), _attention_type(teacher, there)
    if one != other:
        raise IncomparableError(
            f"{what} cannot compare {one} (student layer {here}) with {other} (teacher layer {there})",
            "give a layer_map that pairs layers of one type.",
        )


def _attention_type(classifier: Classifier, layer: int) -> str:
    types = getattr(classifier.model.config, "layer_types", None)
    return types[layer - 1] if types else "full_attention"
