"""When and why flights leave New York late: 336,776 flights of 2013 with the weather of their hour.

`targets make` builds what is not up to date, `targets read effects` shows the result.
"""

import os

from crew_py import crew_controller_local
from targets_py import *

# One thread of linear algebra for each worker: two workers on two cores, not two times two threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

tar_source("functions")

# A fraction of the full number of replicates, for a quick look.
EFFORT = float(os.environ.get("FLIGHTS_EFFORT", "1"))

tar_option_set(
    controller=crew_controller_local(
        name="flights",
        workers=int(os.environ.get("FLIGHTS_WORKERS", "2")),
        seconds_idle=10,
    ),
    format="parquet",
)

pipeline = [
    tar_target("flights_file", lambda: "data/flights.parquet", format="file", deployment="main"),
    tar_target("weather_file", lambda: "data/weather.parquet", format="file", deployment="main"),
    tar_target("airlines_file", lambda: "data/airlines.parquet", format="file", deployment="main"),
    tar_target("flights", lambda flights_file: load_flights(flights_file)),
    tar_target("weather", lambda weather_file: load_weather(weather_file)),
    tar_target("delays", lambda flights, weather: join_weather(flights, weather)),
    tar_target("by_carrier", lambda delays: tar_group(delays, "carrier"), iteration="group"),
    tar_target("by_month", lambda delays: tar_group(delays, "month"), iteration="group"),
    tar_target(
        "carrier_effects",
        lambda by_carrier: bootstrap(by_carrier, "carrier", EFFORT, tar_seed_get()),
        pattern=map("by_carrier"),
    ),
    tar_target(
        "month_effects",
        lambda by_month: bootstrap(by_month, "month", EFFORT, tar_seed_get()),
        pattern=map("by_month"),
    ),
    tar_target(
        "carriers", lambda carrier_effects, airlines_file: name_carriers(carrier_effects, airlines_file)
    ),
    tar_target("table", lambda carriers, month_effects: write_table(carriers, month_effects), format="file"),
    tar_target(
        "figure",
        lambda delays, carriers, month_effects: draw_delays(delays, carriers, month_effects),
        format="file",
    ),
]
