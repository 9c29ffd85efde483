"""What a delay depends on: least squares with bootstrap intervals."""

from __future__ import annotations

import numpy as np
import polars as pl

TERMS = [
    "late in the day (per hour)",
    "weekend",
    "wind (per 10 mph)",
    "rain (per 0.1 in)",
    "poor sight (per 5 miles)",
]


def design(data: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Predictors, intercept first, and delays.

    Args:
        data: flights joined with weather.

    Returns:
        An array of shape (flights, 1 + terms) and one of shape (flights,), float64.
    """
    columns = [
        np.ones(len(data)),
        data["hour"].to_numpy() - 6.0,
        (data["weekday"].to_numpy() >= 6).astype(float),
        data["wind_speed"].to_numpy() / 10.0,
        data["precip"].to_numpy() / 0.1,
        (10.0 - data["visib"].to_numpy()) / 5.0,
    ]
    return np.column_stack(columns), data["dep_delay"].to_numpy().astype(float)


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least-squares coefficients; a term that does not vary gets 0."""
    gram = x.T @ x
    return np.linalg.lstsq(gram, x.T @ y, rcond=None)[0]


def replicates(flights: int, effort: float) -> int:
    """How often to resample: the fewer flights, the more often, up to 40,000 times."""
    return max(10, int(effort * min(40_000, 1_000 + 8.0e6 / flights**0.8)))


def bootstrap(data: pl.DataFrame, group: str, effort: float, seed: int) -> pl.DataFrame:
    """Coefficients of one group of flights with 95 % intervals from resampled flights.

    Args:
        data: flights of one group, joined with weather.
        group: the column that names the group.
        effort: 1 for the full number of replicates.
        seed: of the resampling.

    Returns:
        One row for each term: group, term, estimate, low, high (minutes of delay), flights.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
    """
    x, y = design(data)
    generator = np.random.default_rng(seed)
    number = len(y)
    draws = np.empty((replicates(number, effort), x.shape[1]))
    for draw in draws:
        rows = generator.integers(0, number, number)
        draw[:] = fit(x[rows], y[rows])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    estimate = fit(x, y)
    return pl.DataFrame(
        {
            "group": [str(data[group][0])] * len(TERMS),
            "term": TERMS,
            "estimate": estimate[1:],
            "low": low[1:],
            "high": high[1:],
            "flights": [number] * len(TERMS),
        }
    )
