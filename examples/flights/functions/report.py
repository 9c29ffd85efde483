"""The table and the figure."""

from __future__ import annotations

from calendar import month_abbr
from pathlib import Path

import polars as pl

RESULTS = Path("results")


def name_carriers(effects: pl.DataFrame, airlines_path: str) -> pl.DataFrame:
    """Replace carrier codes by names."""
    airlines = pl.read_parquet(airlines_path)
    named = effects.join(airlines, left_on="group", right_on="carrier", how="left")
    short = pl.col("name").str.replace(r"( Airlines| Air Lines)?( Inc\.| Co\.| Corporation)$", "")
    return named.with_columns(short.fill_null(pl.col("group")).alias("group")).drop("name")


def write_table(carriers: pl.DataFrame, months: pl.DataFrame) -> str:
    """Write all effects to one CSV file and return its path."""
    by = pl.concat([carriers.with_columns(by=pl.lit("carrier")), months.with_columns(by=pl.lit("month"))])
    path = RESULTS / "effects.csv"
    path.parent.mkdir(exist_ok=True)
    by.select("by", "group", "flights", "term", "estimate", "low", "high").write_csv(path, float_precision=3)
    return str(path)


def draw_delays(delays: pl.DataFrame, carriers: pl.DataFrame, months: pl.DataFrame) -> str:
    """Draw when flights are late and what rain does to whom; return the path of the picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    when, who, season = figure.subplots(1, 3, width_ratios=[1.15, 1, 0.9])
    draw_hours(when, delays)
    names = pl.col("group").cast(pl.Int32).replace_strict(dict(enumerate(month_abbr)), return_dtype=pl.String)
    draw_effect(who, carriers, "rain (per 0.1 in)", "What 0.1 in of rain adds, by carrier")
    draw_effect(season, months.with_columns(names.alias("group")), "rain (per 0.1 in)", "and by month")
    path = RESULTS / "delays.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    return str(path)


def draw_hours(axes, delays: pl.DataFrame) -> None:
    """Median delay with the middle half of the flights, over the hours of the day."""
    quantile = pl.col("dep_delay").quantile
    hours = (
        delays.filter(pl.col("hour") >= 5)
        .group_by("hour")
        .agg(quantile(0.25).alias("low"), quantile(0.5).alias("mid"), quantile(0.75).alias("high"))
        .sort("hour")
    )
    axes.fill_between(hours["hour"], hours["low"], hours["high"], color="#9ecae1", label="middle half")
    axes.plot(hours["hour"], hours["mid"], color="#08519c", label="median")
    axes.set(title="Departure delay", xlabel="scheduled hour", ylabel="minutes", xticks=range(6, 24, 3))
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def draw_effect(axes, effects: pl.DataFrame, term: str, title: str) -> None:
    """Estimates of one term with their intervals; those wider than an hour stay out."""
    certain = (pl.col("high") - pl.col("low")).is_between(0, 60, closed="none")
    rows = effects.filter(pl.col("term") == term, certain)
    places = range(len(rows))[::-1]
    axes.hlines(places, rows["low"], rows["high"], color="#fdae6b", linewidth=3)
    axes.plot(rows["estimate"], places, "o", color="#a63603", markersize=4)
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(title=title, xlabel="minutes (95 % interval)", yticks=list(places))
    axes.set_yticklabels(rows["group"], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
