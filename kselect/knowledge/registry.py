"""All kinds of knowledge by name, and how each is built for a student and its teachers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from importlib.metadata import EntryPoint

from kselect.config import (
    ANSWER_KNOWLEDGE,
    DEFAULT_KNOWLEDGE,
    DEFAULT_OF_WORDS,
    KNOWLEDGE_NAMES,
    PARSER_KNOWLEDGE,
    KnowledgeConfig,
)
from kselect.config.knowledge import entries_of, key_of, kind_of, split_name
from kselect.errors import IncomparableError, KselectError, unknown
from kselect.knowledge.attention import Attention, AttentionScores
from kselect.knowledge.base import Knowledge
from kselect.knowledge.hidden_states import Embeddings, Hidden, HiddenCls, HiddenCosine, HiddenStateKnowledge
from kselect.knowledge.layer_map import parse_layer_map
from kselect.knowledge.logits import Gold, JensenShannon, Logits, LogitsMse, ReverseKl, SoftenedDivergence
from kselect.knowledge.marginals import Marginals
from kselect.knowledge.model_pair import ModelPair
from kselect.knowledge.relations import KeyRelations, QueryRelations, Relations, ValueRelations
from kselect.knowledge.sequences import BestSequences, Posterior
from kselect.knowledge.substructures import Substructures
from kselect.knowledge.target_levels import Confidence, ConfidenceSimilarity, LabelSmoothing, Similarity, TopK
from kselect.knowledge.trees import LatentTrees, ParserTrees
from kselect.models.architecture import check_readable
from kselect.models.classifier import Classifier
from kselect.models.column_teacher import ColumnTeacher
from kselect.plugins import PluginRegistry, distribution, load_plugin
from kselect.schedule import Schedule

Builder = Callable[[ModelPair], Knowledge]


def _hidden_states(kind: type[HiddenStateKnowledge]) -> Builder:
    return lambda pair: kind(pair.layer_map, pair.projection(student for student, _ in pair.layer_map))


def _relations(pair: ModelPair) -> Relations:
    return Relations(pair.layer_map, pair.projection([0, *(student for student, _ in pair.layer_map)]))


def _marginals(pair: ModelPair) -> Marginals:
    temperature = Schedule.parse(pair.config.marginals_temperature, "marginals_temperature")
    return Marginals(*pair.heads, temperature, pair.config.softening, pair.config.arc_marginals)


def _logits(pair: ModelPair) -> Logits:
    pair.check_same_choices()
    return Logits(Schedule.parse(pair.config.temperature, "temperature"))


def _divergence(kind: type[SoftenedDivergence]) -> Builder:
    def build(pair: ModelPair) -> Knowledge:
        pair.check_no_score()
        pair.check_same_choices()
        return kind(Schedule.parse(pair.config.temperature, "temperature"))

    return build


def _label_smoothing(pair: ModelPair) -> LabelSmoothing:
    pair.check_classes(pair.student)
    return LabelSmoothing(pair.config.label_smoothing)


def _class_temperature(pair: ModelPair) -> Schedule:
    """Return the temperature for a kind of knowledge that reads the teacher's class probabilities."""
    pair.check_same_choices()
    pair.check_classes(pair.student)
    return Schedule.parse(pair.config.temperature, "temperature")


def _parser_trees(pair: ModelPair) -> ParserTrees:
    pair.check_parser()
    knowledge = ParserTrees(pair.student.layers)
    check_readable(pair.student.model, knowledge.student_needs, f"knowledge {pair.name}")
    return knowledge


def _logits_mse(pair: ModelPair) -> LogitsMse:
    pair.check_logits()
    return LogitsMse()


_BUILTIN: dict[str, Builder] = {
    "gold": lambda pair: Gold(),
    "logits": _logits,
    "logits-mse": _logits_mse,
    "reverse-kl": _divergence(ReverseKl),
    "jsd": _divergence(JensenShannon),
    "hidden": _hidden_states(Hidden),
    "hidden-cls": _hidden_states(HiddenCls),
    "hidden-cosine": _hidden_states(HiddenCosine),
    "embeddings": lambda pair: Embeddings(pair.projection([0])),
    "attention": lambda pair: Attention(pair.layer_map),
    "attention-scores": lambda pair: AttentionScores(pair.layer_map),
    "relations": _relations,
    "query-relations": lambda pair: QueryRelations(pair.layer_map, pair.relation_heads("queries")),
    "key-relations": lambda pair: KeyRelations(pair.layer_map, pair.relation_heads("keys")),
    "value-relations": lambda pair: ValueRelations(pair.layer_map, pair.relation_heads("values")),
    "latent-trees": lambda pair: LatentTrees(pair.layer_map),
    "label-smoothing": _label_smoothing,
    "kd-sim": lambda pair: Similarity(pair.class_similarities, pair.config.similarity_mass),
    "kd-pt": lambda pair: Confidence(_class_temperature(pair)),
    "kd-pt-sim": lambda pair: ConfidenceSimilarity(pair.class_similarities, _class_temperature(pair)),
    "kd-top-k": lambda pair: TopK(pair.config.top_k, _class_temperature(pair)),
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
    """Register a custom kind of knowledge under its `name`, so that settings and agents can use it.

    Args:
        kind: the class; replaces one registered earlier under the same name.
        build: builds it for a pair of models; by default the class is called without arguments.

    Raises:
        ValueError: the name is that of a built-in kind.
    """
    if kind.name in KNOWLEDGE_NAMES:
        raise ValueError(f"'{kind.name}' is a built-in kind of knowledge: give {kind.__name__} another name.")
    BUILDERS[kind.name] = build or (lambda pair: kind())


def build_knowledge(
    config: KnowledgeConfig,
    student: Classifier,
    teachers: Sequence[Classifier | ColumnTeacher],
    parser: Classifier | None = None,
    is_labelled: bool = True,
    other_tokens: Collection[int] = (),
) -> tuple[Knowledge, ...]:
    """Build the kinds of knowledge that `config` names, in its order, or the default ones.

    Default kinds that these models do not support are left out; named ones raise, unless `skip_unsupported`. A kind
    with a number reads that teacher alone (`logits@2`, first: 1), one without a number the mean of the logits of all.

    Args:
        config: the settings.
        student: the student.
        teachers: the teachers, possibly none.
        parser: parses the texts, for `parser-trees`.
        is_labelled: whether all training examples have labels; kinds that read labels need them.
        other_tokens: which of the teachers, counted from 0, tokenise otherwise than the student; of these, only kinds
            in `kselect.config.ANSWER_KNOWLEDGE` can be read.

    Raises:
        KselectError: an unknown kind; a kind that needs a teacher where there is none, or one beyond those given; a
            setting for a kind that is not on offer or does not read it; models that a named kind cannot compare.
    """
    kinds = kinds_on_offer(config, student, parser)
    check_kinds(config, kinds)
    config.check_teachers(len(teachers))
    if teachers and config.layer_map != KnowledgeConfig.layer_map:
        numbers = [number for _, number in map(split_name, kinds) if number]
        teacher = teachers[min(numbers, default=1) - 1]
        if isinstance(teacher, Classifier):
            parse_layer_map(config.layer_map, student.layers, teacher.layers)
    built: dict[str, Knowledge] = {}
    obstacles: list[IncomparableError] = []
    for name in kinds:
        try:
            knowledge = _build(name, config, student, teachers, parser, other_tokens)
            if knowledge.reads_labels and not is_labelled:
                raise IncomparableError(
                    f"knowledge {name} reads labels, which the sentences of unlabelled_file do not have",
                    f"leave out {name}, or unlabelled_file.",
                    setting="unlabelled_file",
                )
            built[name] = knowledge
        except IncomparableError as error:
            obstacles.append(error)
    if obstacles and (not built or (config.knowledge and not config.skip_unsupported)):
        first = obstacles[0]
        rest = f" Of the kinds named, these models support {', '.join(built)}." if built else ""
        raise IncomparableError(first.what, first.advice + rest, setting=first.setting)
    check_kinds(config, kinds if config.skip_unsupported else built)
    return tuple(built.values())


def kinds_on_offer(config: KnowledgeConfig, student: Classifier, parser: Classifier | None = None) -> tuple[str, ...]:
    """Return the kinds that `config` names, or the default ones, some of which these models may not support."""
    if config.knowledge:
        return tuple(config.knowledge)
    further = DEFAULT_OF_WORDS if student.labels is not None else PARSER_KNOWLEDGE if parser is not None else ()
    return (*DEFAULT_KNOWLEDGE, *further)


def check_kinds(config: KnowledgeConfig, kinds: Collection[str]) -> None:
    """Check that all names are known, and that per-kind settings are for `kinds`, the kinds on offer."""
    for name in [*kinds, *config.scales, *config.layer_maps]:
        if kind_of(name) not in BUILDERS:
            raise unknown("knowledge", kind_of(name), BUILDERS)
    for setting, values in (("scales", config.scales), ("layer_maps", config.layer_maps)):
        read = entries_of(values, kinds)
        for name in values:
            if name not in read:
                raise KselectError(
                    f"{setting} names {name}, which is not on offer: add it to knowledge, or remove it from {setting}.",
                    setting=setting,
                )


def _build(
    name: str,
    config: KnowledgeConfig,
    student: Classifier,
    teachers: Sequence[Classifier | ColumnTeacher],
    parser: Classifier | None,
    other_tokens: Collection[int],
) -> Knowledge:
    kind, number = split_name(name)
    read = range(len(teachers)) if number is None else range(number - 1, min(number, len(teachers)))
    of_models = all(isinstance(teachers[i], Classifier) for i in read)
    have_common_tokens = of_models and not set(read) & set(other_tokens)
    pair = ModelPair(name, config, student, [teachers[i] for i in read], parser, have_common_tokens)
    if not pair.have_common_tokens and kind in set(KNOWLEDGE_NAMES) - set(ANSWER_KNOWLEDGE):
        raise pair.only_answers()  # before the builder asks for anything else that such a teacher lacks
    knowledge = BUILDERS[kind](pair)
    knowledge.name = name  # type: ignore[misc]  # of this row; without a number that of its class
    if read:
        knowledge.teachers = tuple(read)
    _check_read(knowledge, pair)
    layer_map, scale = key_of(name, config.layer_maps), key_of(name, config.scales)
    if layer_map is not None and not knowledge.layer_map:
        raise KselectError(
            f"layer_maps names {layer_map}, which does not use a layer map: remove it from layer_maps.",
            setting="layer_maps",
        )
    if knowledge.teacher_needs is not None:
        _check_comparable(knowledge, pair)
    if scale is not None:
        given = config.scales[scale]
        knowledge.scale = None if given == "measured" else float(given)
    return knowledge


def _check_read(knowledge: Knowledge, pair: ModelPair) -> None:
    """Refuse a number where no teacher is read, and inner layers of several teachers."""
    kind, number = split_name(pair.name)
    if number is not None and not knowledge.reads_teacher:
        raise KselectError(
            f"knowledge {pair.name} names a teacher, and {kind} reads none: give it as {kind}.", setting="knowledge"
        )
    needs = knowledge.teacher_needs
    if len(pair.teachers) > 1 and (knowledge.reads_weights or (needs and any(layers for _, layers in needs.items()))):
        raise IncomparableError(
            f"knowledge {pair.name} reads inner layers of its teachers, which cannot be averaged over several",
            f"offer kinds that read logits, one teacher's as in {pair.name}@1, or give one teacher.",
            setting="knowledge",
        )


def _check_comparable(knowledge: Knowledge, pair: ModelPair) -> None:
    reader, student, teacher = f"knowledge {pair.name}", pair.student, pair.answering_teacher
    assert knowledge.teacher_needs is not None
    if not pair.have_common_tokens and any(layers for _, layers in knowledge.teacher_needs.items()):
        raise pair.only_answers()
    check_readable(student.model, knowledge.student_needs, reader)
    if isinstance(teacher, ColumnTeacher):
        return
    check_readable(teacher.model, knowledge.teacher_needs, reader)
    if not knowledge.student_needs.matrices:
        return
    if student.heads != teacher.heads:
        raise IncomparableError(
            f"{reader} cannot compare {student.heads} attention heads (student) with {teacher.heads} (teacher)",
            "offer query-relations, key-relations or value-relations, which allow different numbers of heads.",
        )
    for student_layer, teacher_layer in knowledge.layer_map:
        student_type = _attention_type(student, student_layer)
        teacher_type = _attention_type(teacher, teacher_layer)
        if student_type != teacher_type:  # full attention, and attention to a window
            raise IncomparableError(
                f"{reader} cannot compare {student_type} (student layer {student_layer}) with {teacher_type} (teacher "
                f"layer {teacher_layer})",
                "give a layer_map that pairs layers of one type.",
                setting="layer_map",
            )


def _attention_type(classifier: Classifier, layer: int) -> str:
    types = getattr(classifier.model.config, "layer_types", None)
    return types[layer - 1] if types else "full_attention"
