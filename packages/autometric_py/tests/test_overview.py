import math

import polars as pl
import pytest

from autometric_py import AutometricError, log_plot_all
from autometric_py.overview import thinned


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def test_every_process_has_a_panel_on_common_scales(workers):
    figure = log_plot_all(workers)
    assert titles(figure) == [
        "all processes together",
        *(f"worker {i}" for i in (0, 7, 14, 1, 8, 15, 2, 9, 16)),
    ] + [f"worker {i}" for i in (3, 10, 17, 4, 11, 18, 5, 12, 19, 6, 13)]
    panels = figure.axes[1:]
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in panels}) == 1
    assert panels[0].get_ylim()[1] > workers["resident"].max()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "load",
        "clean",
        "fit model",
        "report",
    ]
    assert figure.get_suptitle() == "resident of 20 processes"


def test_the_sum_of_all_stands_above(workers):
    figure = log_plot_all(workers.filter(pl.col("pid") < 20_002), "virtual")
    (line,) = figure.axes[0].get_lines()
    at_60 = workers.filter(pl.col("pid") < 20_002, pl.col("time").is_between(60, 61.5))
    expected = at_60.group_by("pid").agg(pl.col("virtual").mean())["virtual"].sum()
    times, values = (axis.tolist() for axis in line.get_data())
    near = [value for time, value in zip(times, values, strict=True) if 59 < time < 62]
    assert any(value == pytest.approx(expected, rel=0.05) for value in near)


def test_processes_are_told_apart():
    log = pl.DataFrame(
        {
            "phase": ["p"] * 4,
            "pid": [1, 2, 3, 4],
            "name": ["same", "same", "", "n" * 60],
            "status": [0] * 4,
            "time": [0.0, 1.0, 2.0, 3.0],
            "core": [1.0] * 4,
        }
    )
    figure = log_plot_all(log, "core", phase_bands=False)
    *_, third, fourth = titles(figure)
    assert titles(figure)[1:3] == ["same (1)", "same (2)"]
    assert third == "pid 3"
    assert len(fourth) < 40


def test_a_legend_of_long_labels_has_room(workers):
    log = workers.filter(pl.col("pid") < 20_002).with_columns(phase=pl.lit("a label of fifty letters " * 2))
    figure = log_plot_all(log)
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1


def test_many_numbered_phases_are_one_kind(workers):
    number = pl.int_range(pl.len()) % 30
    log = workers.with_columns(
        phase=pl.when(number < 1).then(pl.lit("load")).otherwise("task_" + number.cast(str))
    )
    (legend,) = log_plot_all(log).legends
    assert [text.get_text() for text in legend.get_texts()] == ["load", "task_*"]


def test_the_sum_is_interrupted_where_nothing_was_logged(workers):
    log = workers.filter(~pl.col("time").is_between(40, 80))
    line = log_plot_all(log).axes[0].get_lines()[0]
    times, values = line.get_data()
    (hole,) = [time for time, value in zip(times, values, strict=True) if math.isnan(value)]
    assert 38 < hole < 80


def test_labels_can_be_overridden(workers):
    figure = log_plot_all(workers, "core", title="T", xlabel="X", ylabel="Y", phase_bands=False)
    assert (figure.get_suptitle(), figure.get_supxlabel(), figure.get_supylabel()) == ("T", "X", "Y")
    assert not figure.legends


def test_a_thinned_curve_keeps_its_extremes():
    points = pl.DataFrame(
        {"time": [float(i) for i in range(10_000)], "v": [float(i % 100) for i in range(10_000)]}
    )
    points = points.with_columns(pl.when(pl.col("time") == 5_432).then(1e6).otherwise("v").alias("v"))
    thin = thinned(points, "v", most=100)
    assert len(thin) <= 200
    assert thin["time"].is_sorted()
    assert thin["v"].max() == 1e6
    assert thin["v"].min() == 0
    assert thinned(points, "v", most=5_000).equals(points)


def test_nothing_to_draw_is_named(workers):
    with pytest.raises(AutometricError, match="no records"):
        log_plot_all(workers.head(0))
    with pytest.raises(ValueError, match="metric"):
        log_plot_all(workers, "speed")


def test_the_picture_is_as_it_was_looked_at(workers, same_picture):
    same_picture(log_plot_all(workers), "log_plot_all.png")


def test_the_picture_of_one_process_is_as_it_was_looked_at(workers, same_picture):
    one = log_plot_all(workers.filter(pl.col("pid") == 20_003), "core", phase_bands=False)
    same_picture(one, "log_plot_all_one.png")
