"""Inference over structures by kselect and by other libraries, on the CPU.

    python benchmarks/structure.py [--tokens 40] [--tags 9 50] [--rounds 5]

A batch of sentences of random scores, half as long as the longest and more. Chains are distilled: the cross-entropy of
a student CRF under a teacher's marginals, these included, forwards and backwards. Trees give their marginals,
projective ones their log-partition too, and span sets the marginals of tags. inference.py has how each library does it;
that all give the same numbers is checked first. kselect sums in float64 and checks whether its fast way lost anything;
others sum in float32, but for supar's determinants. A turn goes on for `--least` seconds; what is told is one time.

Beyond speed, the largest error of non-projective marginals is told for ever larger scores, of whose exponentials
float32 and float64 cannot hold all digits, against an elimination that loses none; and how time grows, as the slope of
the logarithms, beside what it comes to in theory. A library that is not installed is a line that says so: see
requirements.txt.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from typing import Any, NamedTuple

import operators  # noqa: F401 (first: supar imports transformers)

# isort: split
import torch
from inference import PEERS, Chain, Kselect, load, tag_marginals
from measure import CLOCKS, Case, ratios, read_options, report, slope, spread, take_turns
from torch import Tensor

from kselect.structure import LinearChain, NonProjectiveTrees, ProjectiveTrees, SpanSets
from kselect.structure.trees import by_elimination

OURS = "kselect"
WHOLE = ("torch-struct", "supar")  # that have more than a likelihood
TOLERANCE = 1e-4  # of the largest number, in float32
# After one as large as this, glibc keeps memory that is given back, as in any process that has trained a model; before,
# all libraries spend up to a third of their time on asking for it again.
SETTLING = 4_000_000
SCALES = (1.0, 4.0, 16.0, 64.0)
GROWTH = (1, 2, 4)
COLUMNS = ("work", "against", "theirs", "ours", "theirs / ours", "bar")

Work = Callable[[], Any]


class Comparison(NamedTuple):
    """One work, ours and those of others, and the bars on how many times as fast ours is."""

    name: str
    ours: Work
    others: dict[str, Work]
    bars: dict[str, float]


class Made:
    """Random scores of sentences of a batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.generator = torch.Generator().manual_seed(0)

    def scores(self, *shape: int) -> Tensor:
        """Return standard normal scores in float32."""
        return torch.randn(shape, generator=self.generator)

    def mask(self, tokens: int) -> Tensor:
        """Return the mask of sentences of half as many tokens on, the first of all of them."""
        lengths = torch.randint(tokens // 2, tokens + 1, (self.batch,), generator=self.generator)
        lengths[0] = tokens
        return torch.arange(tokens) < lengths[:, None]

    def chain(self, tokens: int, tags: int) -> Chain:
        """Return the scores of a chain."""
        return Chain(
            self.scores(self.batch, tokens, tags), self.scores(tags, tags), self.scores(tags), self.scores(tags)
        )


def agree(name: str, ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> None:
    """Stop unless both are the same numbers."""
    for one, other in zip(ours, theirs, strict=True):
        error = float((one - other).abs().max() / one.abs().max())
        if not error < TOLERANCE:
            raise SystemExit(f"{name} and kselect differ by {error:.1e} of the largest number: they should be equal.")


def distilling(made: Made, peers: dict[str, Any], tokens: int, tags: int) -> Comparison:
    """Return the work on chains, checked."""
    mask, teacher, student = made.mask(tokens), made.chain(tokens, tags), made.chain(tokens, tags)
    leaves = Chain(*(each.requires_grad_() for each in student))

    def gradients(loss: Tensor, parameters: Iterable[Tensor] = leaves) -> tuple[Tensor, ...]:
        return (loss.detach(), *torch.autograd.grad(loss, tuple(parameters)))

    def distil(library: Any) -> tuple[Tensor, ...]:
        return gradients(library.chain_loss(teacher, leaves, mask))

    ours = partial(distil, Kselect())
    others: dict[str, Work] = {name: partial(distil, peers[name]) for name in WHOLE if name in peers}
    for name, work in others.items():
        agree(name, ours(), work())
    if "pytorch-crf" in peers:
        labels = torch.randint(tags, mask.shape, generator=made.generator)
        model = peers["pytorch-crf"].model(leaves)
        parameters = (leaves.emissions, model.transitions, model.start_transitions, model.end_transitions)

        def likelihood() -> tuple[Tensor, ...]:
            return gradients(-model(leaves.emissions, labels, mask), parameters)

        found = -LinearChain(leaves[0], leaves[1], mask, *leaves[2:]).log_prob(labels).sum()
        agree("pytorch-crf", gradients(found), likelihood())
        others["pytorch-crf"] = likelihood
    bars = {"torch-struct": 10.0 if tags < 50 else 100.0, "supar": 5.0, "pytorch-crf": 2.0}
    return Comparison(f"chain: distilling, {tokens} tokens, {tags} tags", ours, others, bars)


def trees(made: Made, peers: dict[str, Any], tokens: int, projective: bool) -> Comparison:
    """Return the work on trees, checked."""
    mask, scores = made.mask(tokens), made.scores(made.batch, tokens, tokens + 1)

    def work(library: Any) -> Work:
        return partial(library.projective if projective else library.nonprojective, library.arcs(scores), mask)

    def numbers(library: Any, found: Any) -> list[Tensor]:
        *values, marginals = found if projective else (found,)
        return [*values, library.heads(marginals) * mask[..., None]]

    libraries = {name: peers[name] for name in WHOLE if name in peers}
    ours, others = work(Kselect()), {name: work(library) for name, library in libraries.items()}
    for name, library in libraries.items():
        agree(name, numbers(Kselect(), ours()), numbers(library, others[name]()))
    what = "projective log-partition and marginals" if projective else "non-projective marginals"
    bars = {"torch-struct": 3.0, "supar": 2.0} if projective else {"torch-struct": 1.0, "supar": 1.0}
    return Comparison(f"{what}, {tokens} tokens", ours, others, bars)


def spans(made: Made, tokens: int, labels: int) -> Comparison:
    """Return the work on spans, checked."""
    mask, scores = made.mask(tokens), made.scores(made.batch, tokens, tokens, labels)
    tags = 1 + 4 * labels
    chain = made.chain(tokens, tags)
    tables, lengths = scores.double().tolist(), mask.sum(1).tolist()

    def ours() -> Tensor:
        return SpanSets(scores, mask).tag_marginals()

    def loops() -> list[list[list[float]]]:
        return [tag_marginals(table, length) for table, length in zip(tables, lengths, strict=True)]

    def marginals() -> Any:
        return LinearChain(chain[0], chain[1], mask, *chain[2:]).marginals

    for found, listed in zip(ours(), loops(), strict=True):
        agree("The loop", [found[: len(listed)]], [torch.tensor(listed)])
    loop, other = "a loop in Python", f"a chain's marginals, {tags} tags"
    name = f"spans: tag marginals, {tokens} tokens, {labels} labels"
    return Comparison(name, ours, {loop: loops, other: marginals}, {loop: 100.0, other: 0.2})


def errors(made: Made, peers: dict[str, Any], tokens: int) -> dict[str, dict[str, float]]:
    """Return by scale of the scores how far the non-projective marginals of each library are off at most."""
    mask, scores = made.mask(tokens), made.scores(made.batch, tokens, tokens + 1)
    libraries = {OURS: Kselect()} | {name: peers[name] for name in WHOLE if name in peers}
    found: dict[str, dict[str, float]] = {}
    for scale in SCALES:
        exact = (scale * scores).double().requires_grad_()
        (right,) = torch.autograd.grad(by_elimination(NonProjectiveTrees(exact, mask)._scores[0], mask).sum(), exact)
        found[f"{scale:g}"] = {
            name: _error(library.heads(_marginals(library, scale * scores, mask)) * mask[..., None], right)
            for name, library in libraries.items()
        }
    return found


def _marginals(library: Any, scores: Tensor, mask: Tensor) -> Tensor:
    """Return the marginals, or what is no number where a library refuses a matrix that it finds singular."""
    arcs = library.arcs(scores)
    try:
        found: Tensor = library.nonprojective(arcs, mask)
    except torch.linalg.LinAlgError:
        return torch.full_like(arcs, torch.nan)
    return found.detach()


def _error(found: Tensor, right: Tensor) -> float:
    error = float((found.double() - right).abs().max())
    return error if error == error else float("inf")


def growing(made: Made, tokens: int) -> dict[str, tuple[str, list[tuple[int, Work]]]]:
    """Return by name the slope in theory, and the work at each size."""

    def chain(n: int, tags: int) -> Work:
        mask, scores = made.mask(n), made.chain(n, tags)
        return lambda: LinearChain(scores[0], scores[1], mask, *scores[2:]).marginals

    def tree(kind: type[NonProjectiveTrees] | type[ProjectiveTrees], n: int) -> Work:
        mask, scores = made.mask(n), made.scores(made.batch, n, n + 1)
        return lambda: kind(scores, mask).marginals

    def span(n: int, labels: int) -> Work:
        mask, scores = made.mask(n), made.scores(made.batch, n, n, labels)
        return lambda: SpanSets(scores, mask).tag_marginals()

    def sizes(make: Callable[[int], Work], least: int) -> list[tuple[int, Work]]:
        return [(least * factor, make(least * factor)) for factor in GROWTH]

    return {
        "chain: marginals, with tokens, 17 tags": ("1", sizes(lambda n: chain(n, 17), tokens)),
        f"chain: marginals, with tags, {tokens} tokens": ("2", sizes(lambda tags: chain(tokens, tags), 32)),
        "non-projective marginals, with tokens": ("3", sizes(partial(tree, NonProjectiveTrees), tokens)),
        "projective marginals, with tokens": ("3", sizes(partial(tree, ProjectiveTrees), tokens // 2)),
        "spans: tag marginals, with tokens, 4 labels": ("2", sizes(lambda n: span(n, 4), tokens)),
        f"spans: tag marginals, with labels, {tokens} tokens": ("1", sizes(lambda labels: span(tokens, labels), 4)),
    }


def main() -> None:
    """Check that all agree, run the rounds, print the table and write the JSON."""
    options = read_options(
        __doc__,
        "structure",
        batch=(32, 4, "sentences"),
        tokens=(40, 6, "length of the longest sentence; of trees also twice that"),
        few=(9, 3, "tags of the smaller chain"),
        many=(50, 5, "tags of the larger chain"),
        threads=(2, 1, "threads of torch"),
        least=(0.1, 0.0, "seconds that one turn goes on for at least"),
        rounds=(5, 1, "turns of each case"),
    )
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    torch.empty(SETTLING)  # and given back at once
    clock = CLOCKS[options.clock]
    loaded = {name: load(name) for name in PEERS}
    peers = {name: peer for name, peer in loaded.items() if not isinstance(peer, str)}
    made = Made(options.batch)

    def steadily(work: Work) -> float:
        start, count = clock(), 0
        while not count or clock() - start < options.least:
            work()
            count += 1
        return (clock() - start) / count

    comparisons = [distilling(made, peers, options.tokens, tags) for tags in (options.few, options.many)]
    for projective in (False, True):
        comparisons += [trees(made, peers, options.tokens * factor, projective) for factor in (1, 2)]
    comparisons.append(spans(made, options.tokens, 4))

    rows: list[list[str]] = [[peer, "", "", "", "", ""] for peer in loaded.values() if isinstance(peer, str)]
    data: dict[str, Any] = {}
    for name, ours, others, bars in comparisons:
        cases: dict[str, Case] = {kind: partial(steadily, work) for kind, work in {OURS: ours, **others}.items()}
        seconds = take_turns(cases, options.rounds, options.clock)
        data[name] = {"seconds": seconds}
        for other in others:
            faster = ratios(seconds, other, OURS)
            data[name][f"{other} / {OURS}"] = faster
            cells = [_time(seconds[other]), _time(seconds[OURS]), spread(faster, 2), f">= {bars[other]:g}"]
            rows.append([name, other, *cells])

    off = errors(made, peers, options.tokens)
    for scale, of_scale in off.items():
        for name in [name for name in of_scale if name != OURS]:
            cells = [f"{of_scale[name]:.0e}", f"{of_scale[OURS]:.0e}", "", "ours right"]
            rows.append([f"largest error of non-projective marginals, scores x {scale}", name, *cells])

    for name, (theory, sizes) in growing(made, options.tokens).items():
        seconds = take_turns({str(n): partial(steadily, work) for n, work in sizes}, options.rounds, options.clock)
        slopes = [slope([n for n, _ in sizes], row) for row in zip(*seconds.values(), strict=True)]
        data[name] = {"seconds": seconds, "slopes": slopes}
        label = f"{name.partition(',')[0]}, growth{name.partition(',')[2]}: {', '.join(seconds)}"
        times = f"{_time(seconds[str(sizes[0][0])])} to {_time(seconds[str(sizes[-1][0])])}"
        rows.append([label, f"theory {theory}", "", times, f"slope {spread(slopes, 2)}", "none"])

    title = f"Inference over structures, {options.batch} sentences, {options.threads} threads, {options.clock} clock"
    versions = {name: metadata.version(name) for name in peers}
    report(options, title, COLUMNS, rows, data | {"errors": off}, peers=versions)


def _time(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.2f} ms"


if __name__ == "__main__":
    main()
