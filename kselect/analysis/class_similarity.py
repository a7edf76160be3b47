"""Relations between classes in a teacher's probabilities: which wrong classes are nearly right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr, softmax

from kselect.analysis.predictions import Floats, Predictions
from kselect.knowledge.target_levels import class_similarities, shares_of_wrong
from kselect.models.classifier import Classifier
from kselect.models.output_layer import output_layer

ERASED = 0.02  # strength below which there are practically no relations: of three classes, 58 against 42 %
TINY = 1e-12  # nats, or a share


def similarity_shares(teacher: Classifier, temperature: float) -> Floats:
    """Return how `kd-sim` shares probability among the wrong classes of each gold class, `[K, K]`, rows that sum to 1.

    Args:
        teacher: The model whose output weights are compared.
        temperature: Divides the cosines of the output weights; see `class_similarities`.
    """
    similarities = class_similarities(output_layer(teacher.model).weight, temperature)
    shares: Floats = shares_of_wrong(similarities).cpu().double().numpy()
    return shares


def kl_from_uniform(shares: Floats, labels: NDArray[np.int64]) -> float:
    """Return the mean KL divergence of wrong-class shares from uniform ones, in nats.

    Where it is 0, `kd-sim` is a label smoothing.

    Args:
        shares: Shares of the wrong classes of each gold class, `[K, K]`.
        labels: Gold classes that the mean is over, `[N]`.
    """
    return float(rel_entr(shares, 1 / (len(shares) - 1)).sum(1)[labels].mean())


@dataclass(frozen=True)
class ClassRelations:
    """How a teacher shares the probability of the K - 1 wrong classes at each position, for K > 2.

    Attributes:
        strength: Median KL divergence of the shares from uniform ones at temperature 1, divided by log(K - 1), in
            [0, 1], over positions that are predicted correctly: at a wrong prediction one wrong class has nearly all
            of the probability under any teacher. Near 0 where relations are erased, as in a teacher trained with label
            smoothing (Müller et al. 2019).
        non_target_mass: Mean probability of all wrong classes together, at the temperature in use.
        explained_by_similarity: Part of the divergence of the shares from uniform ones, at the temperature in use,
            that given similarities of classes explain: 1 where they are the shares, 0 where uniform shares are as
            close, negative where they are farther away. None without similarities.
    """

    strength: float
    non_target_mass: float
    explained_by_similarity: float | None

    @staticmethod
    def of(predictions: Predictions, temperature: float = 1.0, shares: Floats | None = None) -> ClassRelations | None:
        """Measure the relations in predictions; None for two classes, which have none.

        Args:
            predictions: Predictions of the teacher.
            temperature: The temperature in use.
            shares: Shares of the wrong classes of each gold class by similarity, `[K, K]`, rows that sum to 1.
        """
        if predictions.classes == 2:
            return None
        gold = np.arange(predictions.classes) == predictions.labels[:, None]
        correct = predictions.correct if predictions.correct.any() else np.ones(len(predictions), dtype=bool)
        uniform = (~gold) / (predictions.classes - 1)
        mass = predictions.non_target_mass(temperature)
        explained = None
        if shares is not None:
            by_similarity = np.where(gold, 0.0, shares[predictions.labels])
            softened = _wrong_shares(predictions, gold, temperature)
            whole = float((mass * _divergence(softened, uniform)).mean())
            rest = float((mass * _divergence(softened, by_similarity)).mean())
            explained = 1 - rest / whole if whole > TINY else 0.0
        divergence = _divergence(_wrong_shares(predictions, gold, 1.0), uniform)
        strength = float(np.median(divergence[correct])) / np.log(predictions.classes - 1)
        return ClassRelations(strength, float(mass.mean()), explained)


def _wrong_shares(predictions: Predictions, gold: NDArray[np.bool_], temperature: float) -> Floats:
    """Return the shares of the wrong classes, `[N, K]`, 0 at the gold one."""
    return np.asarray(softmax(np.where(gold, -np.inf, predictions.logits / temperature), axis=1))


def _divergence(p: Floats, q: Floats) -> Floats:
    """Return `KL(p || q)` at each position, `[N]` in nats, for `[N, K]` both."""
    return np.asarray(rel_entr(p, np.maximum(q, TINY)).sum(1))
