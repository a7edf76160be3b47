from __future__ import annotations

from itertools import product

from kselect.tasks.words import find_tree_error, is_projective


def descends(heads: tuple[int, ...], word: int, ancestor: int) -> bool:
    """Whether a word is, or descends from, another, 0 being the root; False at the end of a walk without a tree."""
    for _ in range(len(heads) + 1):
        if word == ancestor:
            return True
        if word == 0:
            return False
        word = heads[word - 1]
    return False


def test_trees_of_up_to_five_words() -> None:
    trees, projective = [], []
    for n in range(1, 6):
        sound = [heads for heads in product(range(n + 1), repeat=n) if find_tree_error(heads) is None]
        for heads in sound:
            assert heads.count(0) == 1
            assert all(descends(heads, word, 0) for word in range(1, n + 1))
            # Marcus: an arc is projective where its head dominates every word between.
            dominated = all(
                descends(heads, between, head)
                for word, head in enumerate(heads, start=1)
                for between in range(min(word, head) + 1, max(word, head))
            )
            assert is_projective(heads) == dominated
        trees.append(len(sound))
        projective.append(sum(map(is_projective, sound)))
    assert trees == [n ** (n - 1) for n in range(1, 6)]  # Cayley
    assert projective == [1, 2, 7, 30, 143]  # binom(3 n - 2, n - 1) / n


def test_everything_else_has_a_fault() -> None:
    for n in range(1, 5):
        for heads in product(range(-1, n + 2), repeat=n):
            in_range = all(0 <= head <= n for head in heads)
            tree = in_range and heads.count(0) == 1 and all(descends(heads, word, 0) for word in range(1, n + 1))
            assert (find_tree_error(heads) is None) == tree
