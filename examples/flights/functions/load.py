"""Read the tables and join each flight with the weather of its hour."""

from __future__ import annotations

import polars as pl

WEATHER = ["wind_speed", "precip", "visib", "humid", "pressure"]


def load_flights(path: str) -> pl.DataFrame:
    """Flights that left, with a departure delay of at most a day.

    Args:
        path: a parquet file with the columns of nycflights13's `flights`.

    Returns:
        One row for each flight: carrier, origin, month, hour, weekday, dep_delay (minutes), time_hour.
    """
    flights = pl.read_parquet(path)
    weekday = pl.date("year", "month", "day").dt.weekday().alias("weekday")
    return (
        flights.filter(pl.col("dep_delay").is_not_null(), pl.col("dep_delay") <= minutes(hours=24))
        .with_columns(weekday)
        .select("carrier", "origin", "month", "hour", "weekday", "dep_delay", "time_hour")
    )


def minutes(hours: float) -> float:
    """Hours in the unit of the delays."""
    return 60 * hours


def load_weather(path: str) -> pl.DataFrame:
    """Hourly weather, gaps filled with the last measurement at the same airport."""
    weather = pl.read_parquet(path).sort("origin", "time_hour")
    filled = [pl.col(name).forward_fill().backward_fill().over("origin") for name in WEATHER]
    return weather.with_columns(filled).select("origin", "time_hour", *WEATHER)


def join_weather(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    """Each flight with the weather at its airport in the hour in which it was to leave."""
    return flights.join(weather, on=["origin", "time_hour"], how="inner").drop("time_hour")
