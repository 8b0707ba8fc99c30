"""Kinds of rows without a label that teach a leader, made from a split's rows."""

import numpy as np

from skcoop._members._member import FittedMember
from skcoop._tables._codec import TableCodec
from skcoop._tables._distances import RowMetric
from skcoop._tables._frames import stack, take
from skcoop._tables._virtual_rows import virtual_rows
from skcoop.counterfactuals import BatchedDice


def _encoded(split):
    codec = TableCodec(split.X)
    Z = codec.encode(split.X)
    return codec, Z, np.random.default_rng([split.seed, 3])


def _neighbours(codec, Z, k):
    numbers = np.arange(len(Z))
    return RowMetric(codec, Z).nearest(
        Z, Z, lambda block: numbers[block, None] != numbers, k=k
    )[0]


def between_neighbours(split, n):
    """On the way to one of the five nearest rows."""
    codec, Z, draw = _encoded(split)
    start = np.arange(n) % len(Z)
    end = _neighbours(codec, Z, 5)[start, draw.integers(5, size=n)]
    share = draw.random((n, 1))
    way = Z[start] + share * (Z[end] - Z[start])
    either = np.where(draw.random(way.shape) < share, Z[end], Z[start])
    return codec.decode(np.where(codec.coded | np.isnan(way), either, way))


def jittered(split, n):
    """Numbers moved by a fifth of their spread, one category in ten drawn anew."""
    codec, Z, draw = _encoded(split)
    start = np.arange(n) % len(Z)
    moved = Z[start] + 0.2 * np.nanstd(Z, axis=0) * draw.normal(size=(n, Z.shape[1]))
    moved = np.clip(moved, np.nanmin(Z, axis=0), np.nanmax(Z, axis=0))
    other = np.where(
        draw.random(moved.shape) < 0.1, Z[draw.permutation(n) % len(Z)], Z[start]
    )
    return codec.decode(np.where(codec.coded, other, moved))


def munge(split, n):
    """MUNGE (Bucila, Caruana and Niculescu-Mizil, KDD 2006): half the cells from near
    the nearest row."""
    codec, Z, draw = _encoded(split)
    start = np.arange(n) % len(Z)
    near = Z[_neighbours(codec, Z, 1)[start, 0]]
    drawn = near + np.abs(Z[start] - near) * draw.normal(size=near.shape)
    drawn = np.where(codec.coded | np.isnan(drawn), near, drawn)
    low, high = np.nanmin(Z, axis=0), np.nanmax(Z, axis=0)
    drawn = np.clip(drawn, low, high)
    return codec.decode(np.where(draw.random(near.shape) < 0.5, drawn, Z[start]))


def cells_of_neighbours(split, n):
    """Half the cells, each from one of the ten nearest rows."""
    codec, Z, draw = _encoded(split)
    start = np.arange(n) % len(Z)
    near = _neighbours(codec, Z, 10)[
        start[:, None], draw.integers(10, size=(n, Z.shape[1]))
    ]
    cells = Z[near, np.arange(Z.shape[1])]
    return codec.decode(np.where(draw.random(cells.shape) < 0.5, cells, Z[start]))


def counterfactuals(split, n):
    """What the cooperative engine answers for each row, asked of linear and forest."""
    found = []
    for model in split.models[:2]:
        answer = BatchedDice().generate(
            FittedMember("", model, split.task.classes),
            split.X,
            split.y,
            background=split.X,
            alpha=0.8,
            random_state=split.seed,
        )
        found.append(take(answer.X_cf, np.flatnonzero(answer.valid)))
    return stack(*found)


VIRTUAL = {
    "none": lambda split, n: None,
    "between any two rows": lambda split, n: virtual_rows(split.X, n, seed=split.seed)[
        0
    ],
    "between neighbours": between_neighbours,
    "jitter": jittered,
    "MUNGE": munge,
    "cells of neighbours": cells_of_neighbours,
    "counterfactuals": counterfactuals,
}
