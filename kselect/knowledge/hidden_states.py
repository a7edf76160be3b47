"""Knowledge in hidden states: distances of the states of mapped layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from kselect.knowledge.base import LayerwiseKnowledge, mean_over_tokens
from kselect.knowledge.layer_map import LayerMap
from kselect.models.outputs import ModelOutputs
from kselect.models.scratch import seeded

PROJECTION_SEED = 0


class Projection(nn.Module):
    """Learned linear maps from the student's width to the teacher's, one for each student layer that is compared.

    Source: FitNets (Romero et al., 2015); TinyBERT (Jiao et al., 2020, eq. 8).
    """

    def __init__(self, layers: Iterable[int], student_width: int, teacher_width: int) -> None:
        """Initialise the maps of `layers` under a fixed seed."""
        super().__init__()
        with seeded(PROJECTION_SEED):
            self.maps = nn.ModuleDict(
                {str(layer): nn.Linear(student_width, teacher_width) for layer in sorted(set(layers))}
            )

    def forward(self, states: Tensor, layer: int) -> Tensor:
        """Map hidden states `[..., student width]` of `layer` to `[..., teacher width]`."""
        return self.maps[str(layer)](states)


def projected(outputs: ModelOutputs, layer: int, projection: Projection | None) -> Tensor:
    """Return the student's hidden states `[B, n, D]` of `layer` in float32, at the teacher's width."""
    states = outputs.hidden_states[layer].float()
    return states if projection is None else projection(states, layer)


class HiddenStateKnowledge(LayerwiseKnowledge):
    """Base class: a distance of hidden states, averaged over mapped layers."""

    outputs: ClassVar[tuple[str, ...]] = ("hidden_states",)

    def __init__(self, layer_map: LayerMap, projection: Projection | None = None) -> None:
        """Compare the (student layer, teacher layer) pairs of `layer_map`, projected where widths differ."""
        super().__init__(layer_map)
        self.projection = self.modules = projection

    def layer_distance(
        self, student: ModelOutputs, teacher: ModelOutputs, student_layer: int, teacher_layer: int
    ) -> Tensor:
        """Return the distance of one pair of layers, `[B]`."""
        states, target = projected(student, student_layer, self.projection), teacher.hidden_states[teacher_layer]
        return self.distance(states, target.float(), student.attention_mask)

    @abstractmethod
    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the distance `[B]` of one layer's states, both `[B, n, D]`, over real tokens."""


class Hidden(HiddenStateKnowledge):
    """Squared distance of hidden states, a mean over real tokens, dimensions and mapped layers.

    Source: feature knowledge, FeaK (Wang et al., 2022).
    """

    name: ClassVar[str] = "hidden"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean squared distance of each example, `[B]`."""
        return mean_over_tokens((student - teacher).square().mean(-1), attention_mask)


class HiddenCls(HiddenStateKnowledge):
    """Squared distance of the first token's normalised hidden states, a mean over mapped layers, in [0, 4].

    Source: PKD (Sun et al., 2019, section 3.2), whose layer map leaves the last layer out (`skip`).
    """

    name: ClassVar[str] = "hidden-cls"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the squared distance of each example, `[B]`."""
        return (normalize(student[:, 0], dim=-1) - normalize(teacher[:, 0], dim=-1)).square().sum(-1)


class HiddenCosine(HiddenStateKnowledge):
    """Cosine distance of hidden states, a mean over real tokens and mapped layers, in [0, 2].

    Source: DistilBERT (Sanh et al., 2019), which compares only the last layer (`last`).
    """

    name: ClassVar[str] = "hidden-cosine"

    def distance(self, student: Tensor, teacher: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of `1 - cosine` of each example, `[B]`, in [0, 2]."""
        return mean_over_tokens(1 - cosine_similarity(student, teacher, dim=-1), attention_mask)


class Embeddings(Hidden):
    """Squared distance of embeddings, the input of the first layer, a mean over real tokens and dimensions.

    Source: the embedding loss of TinyBERT (Jiao et al., 2020, eq. 9).
    """

    name: ClassVar[str] = "embeddings"

    def __init__(self, projection: Projection | None = None) -> None:
        """Compare embeddings, projected where widths differ."""
        super().__init__(((0, 0),), projection)
        self.layer_map = ()  # settings for layer maps do not apply to embeddings
