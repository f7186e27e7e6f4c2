"""Which change did it: effects of features over the runs of a lineage. Association, not cause. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hypotheses.judging.evidence import CAP, RESOLUTION, Direction, Floats, score_at, sign_of

LARGEST = 1e300
RANK_TOLERANCE = 1e-9
LACK_OF_FIT_P = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """What a feature, or a bundle that always changes together, goes along with.

    `effect` and `se` are in the metric's unit, better is positive; None, with `t` and `score`, where the runs cannot tell it from other features.
    """

    features: list[str]
    identifiable: bool
    effect: float | None
    se: float | None
    df: int
    t: float | None
    score: float | None


class LackOfFit(NamedTuple):
    """Whether replicates contradict the sum of effects: `f` with (`df_model`, `df_replicates`), its `p`; rejected: show edges only."""

    f: float
    df_model: int
    df_replicates: int
    p: float
    is_rejected: bool


class _Fit(NamedTuple):
    """OLS with an intercept a root: coefficients and unscaled variances (K,), which are identifiable, residuals' spread."""

    coefficients: Floats
    spreads: Floats
    is_identifiable: NDArray[np.bool_]
    ssr: float
    df: int


def attribute(
    y: Sequence[float],
    X: Sequence[Sequence[int]],  # noqa: N803
    root: Sequence[Hashable],
    names: Sequence[str],
    direction: Direction,
) -> list[Effect]:
    """The effect of each feature on `y`, the runs' values (N,), by least squares with an intercept for each root; in the order of `names`.

    `X` (N, K): the state of each feature in each run, 0 as in its root, 1 changed. Features whose columns differ by no more than each root's
    intercept are one bundle and never split. A feature that never changes within a root, or that others add up to, is not identifiable.
    The score is that of a comparison: s²/se² is the effective sample size; it is held at 0.49 where fewer than two runs have the
    feature, or have it not. Raises ValueError if there is no run, the shapes disagree, a state is not 0 or 1, or a value not finite within ±1e300.
    """
    sign, values, states, groups = sign_of(direction), *_checked(y, X, root, names)
    changed = _against_first(states, groups)
    bundles = _bundles(changed)
    columns = changed[:, [bundle[0] for bundle in bundles]]
    unit = float(np.abs(values).max()) or 1.0
    fit = _fitted(sign * (values / unit), columns, groups)
    is_thin = _is_thin(columns, groups)
    return [_effect([names[i] for i in bundle], fit, k, unit=unit, is_thin=bool(is_thin[k])) for k, bundle in enumerate(bundles)]


def _checked(
    y: Sequence[float],
    X: Sequence[Sequence[int]],  # noqa: N803
    root: Sequence[Hashable],
    names: Sequence[str],
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """(values (N,), states (N, K), each run's group (N,))."""
    values = np.asarray(y, dtype=np.float64)
    if values.size == 0 or len(X) != values.size or len(root) != values.size or any(len(row) != len(names) for row in X):
        given = f"{values.size} values, {len(X)} rows and {len(root)} roots"
        raise ValueError(f"Every run needs a value, a root and a state of each of the {len(names)} features: these are {given}.")
    states = np.asarray(X, dtype=np.float64).reshape(values.size, len(names))
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
        raise ValueError(f"Values are finite and within ±{LARGEST:g}: leave out runs that diverged.")
    if not np.isin(states, (0, 1)).all():
        raise ValueError("A feature's state is 0, as in the root, or 1, changed.")
    first: dict[Hashable, int] = {}
    return values, states, np.array([first.setdefault(each, len(first)) for each in root])


def _against_first(states: Floats, groups: NDArray[np.intp]) -> Floats:
    """States minus those of the first run of the same root: what an intercept a root cannot explain, exactly 0 where nothing changes."""
    _, first = np.unique(groups, return_index=True)
    return np.asarray(states - states[first][groups])


def _bundles(changed: Floats) -> list[list[int]]:
    """Columns that are the same, together, in the order of their first."""
    found: dict[tuple[float, ...], list[int]] = {}
    for index, column in enumerate(changed.T):
        found.setdefault(tuple(column.tolist()), []).append(index)
    return list(found.values())


def _fitted(values: Floats, columns: Floats, groups: NDArray[np.intp]) -> _Fit:
    """Least squares of centred values on centred columns (Frisch and Waugh 1933); columns scaled, so that ranks are judged alike."""
    centred, design = _centred(values[:, None], groups)[:, 0], _centred(columns, groups)
    scale = np.sqrt((design**2).sum(0))
    scale[scale == 0] = 1.0
    u, singular, vt = np.linalg.svd(design / scale, full_matrices=True)
    rank = int((singular > RANK_TOLERANCE * max(singular.max(initial=0.0), 1.0)).sum())
    inverse = vt[:rank].T / singular[:rank]
    ssr = float(((centred - u[:, :rank] @ (u[:, :rank].T @ centred)) ** 2).sum())
    return _Fit(
        coefficients=inverse @ (u[:, :rank].T @ centred) / scale,
        spreads=(inverse**2).sum(1) / scale**2,
        is_identifiable=(vt[rank:] ** 2).sum(0) < RANK_TOLERANCE,
        ssr=ssr,
        df=values.size - int(groups.max()) - 1 - rank,
    )


def _centred(columns: Floats, groups: NDArray[np.intp]) -> Floats:
    """Columns minus their mean within each root."""
    sums = np.zeros((int(groups.max()) + 1, columns.shape[1]))
    np.add.at(sums, groups, columns)
    return np.asarray(columns - (sums / np.bincount(groups)[:, None])[groups])


def _is_thin(columns: Floats, groups: NDArray[np.intp]) -> NDArray[np.bool_]:
    """True for a column where, in the roots in which it changes, fewer than two runs differ from their first or equal it."""
    varies = np.stack([columns[groups == group].any(0) for group in range(int(groups.max()) + 1)])[groups]
    return np.asarray(np.minimum(((columns != 0) & varies).sum(0), ((columns == 0) & varies).sum(0)) < 2)


def _effect(features: list[str], fit: _Fit, k: int, *, unit: float, is_thin: bool) -> Effect:
    """One bundle's line; without a spread between replicates only the sign is information."""
    if not fit.is_identifiable[k]:
        return Effect(features, False, None, None, fit.df, None, None)
    effect, spread, variance = float(fit.coefficients[k]), float(fit.spreads[k]), fit.ssr / max(fit.df, 1)
    is_known = fit.df > 0 and variance > RESOLUTION**2
    se = float(np.sqrt(variance * spread))
    t = effect / se if is_known else effect
    score = score_at(t, df=fit.df if is_known else 0, n_eff=1 / spread)
    held = min(max(score, -CAP), CAP) if is_thin else score
    return Effect(features, True, effect * unit, se * unit if is_known else None, fit.df, t if is_known else None, held)


def lack_of_fit(y: Sequence[float], X: Sequence[Sequence[int]], root: Sequence[Hashable]) -> LackOfFit | None:  # noqa: N803
    """The F test of "effects add up" against the spread between runs of one state; None where no replicates, or no states to spare, can tell.

    F = ((SSR - SSE)/(df - df_e)) / (SSE/df_e), SSE within runs of the same root and states (Fisher 1922). Raises ValueError as `attribute`.
    """
    names = [str(index) for index in range(len(X[0]) if len(X) else 0)]
    values, states, groups = _checked(y, X, root, names)
    values = values / (float(np.abs(values).max()) or 1.0)
    fit = _fitted(values, _against_first(states, groups), groups)
    _, cells = np.unique(np.column_stack([groups, states]), axis=0, return_inverse=True)
    cells = cells.reshape(-1)
    within = float((_centred(values[:, None], cells) ** 2).sum())
    df_within = values.size - int(cells.max()) - 1
    df_model = fit.df - df_within
    if df_model < 1 or df_within < 1 or within / df_within <= RESOLUTION**2:
        return None
    f = max(fit.ssr - within, 0.0) / df_model / (within / df_within)
    p = float(special.fdtrc(df_model, df_within, f))
    return LackOfFit(f, df_model, df_within, p, p < LACK_OF_FIT_P)
