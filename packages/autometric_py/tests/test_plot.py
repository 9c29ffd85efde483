import matplotlib.pyplot as plt
import polars as pl
import pytest

from autometric_py import AutometricError, log_plot


def frame(**columns):
    """A log of as many records as the columns given have; the others have values that can be told apart."""
    size = max(len(values) for values in columns.values())
    base = {
        "version": ["0.1.0"] * size,
        "phase": ["__DEFAULT__"] * size,
        "pid": [1] * size,
        "name": ["n"] * size,
        "status": [0] * size,
        "time": [float(i) for i in range(size)],
        "core": [10.0 * i for i in range(size)],
        "cpu": [5.0 * i for i in range(size)],
        "resident": [100.0 + i for i in range(size)],
        "virtual": [200.0 + i for i in range(size)],
    }
    return pl.DataFrame(base | columns)


def points(ax):
    (line,) = ax.get_lines()
    return list(zip(*(values.tolist() for values in line.get_data()), strict=True))


def test_resident_memory_of_the_last_process_against_time():
    ax = log_plot(frame(pid=[1, 2, 1, 2, 3], status=[0, 0, 0, 0, 10002]))
    assert points(ax) == [(1.0, 101.0), (3.0, 103.0)]
    assert ax.get_title() == "process ID: 2"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "resident")
    assert ax.get_ylim() == (0.0, 103.0)
    (line,) = ax.get_lines()
    assert line.get_marker() == "o"
    assert line.get_linestyle() == "-"


def test_a_process_by_its_number_or_name():
    log = frame(pid=[1, 2, 1, 2], name=["a", "b", "a", "b"])
    assert points(log_plot(log, pid=1)) == [(0.0, 100.0), (2.0, 102.0)]
    ax = log_plot(log, name="b", metric="core")
    assert points(ax) == [(1.0, 10.0), (3.0, 30.0)]
    assert ax.get_title() == "process name: b"
    assert ax.get_ylabel() == "core"


def test_a_phase():
    ax = log_plot(frame(phase=["x", "y", "x"], pid=[1, 2, 1]), phase="x")
    assert points(ax) == [(0.0, 100.0), (2.0, 102.0)]
    assert ax.get_title() == "log phase: x\nprocess ID: 1"
    assert (
        log_plot(frame(phase=["x", "x"]), phase="x", name="n").get_title() == "log phase: x\nprocess name: n"
    )


def test_records_are_joined_in_the_order_of_time():
    ax = log_plot(frame(time=[3.0, 1.0, 2.0]))
    assert points(ax) == [(1.0, 101.0), (2.0, 102.0), (3.0, 100.0)]


def test_records_without_a_time_are_left_out():
    assert points(log_plot(frame(time=[None, 1.0]))) == [(1.0, 101.0)]


def test_a_negative_value_extends_the_range():
    assert log_plot(frame(core=[-5.0, 10.0]), metric="core").get_ylim() == (-5.0, 10.0)


def test_a_range_is_never_empty():
    assert log_plot(frame(core=[0.0, 0.0]), metric="core").get_ylim() == (0.0, 1.0)


def test_everything_can_be_overridden():
    ax = log_plot(
        frame(core=[1.0, 2.0]), title="T", xlabel="X", ylabel="Y", ylim=(1, 500), color="red", ls="--", ms=9
    )
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel(), ax.get_ylim()) == ("T", "X", "Y", (1.0, 500.0))
    (line,) = ax.get_lines()
    assert (line.get_color(), line.get_linestyle(), line.get_markersize()) == ("red", "--", 9)


def test_it_draws_where_it_is_told_to():
    figure, (left, right) = plt.subplots(1, 2)
    assert log_plot(frame(core=[1.0]), ax=right) is right
    assert not left.get_lines()
    assert plt.get_fignums() == [figure.number]


def test_without_axes_there_is_a_new_figure():
    assert log_plot(frame(core=[1.0])).figure is not log_plot(frame(core=[1.0])).figure


def test_a_lazy_log_is_collected():
    assert len(points(log_plot(frame(core=[1.0, 2.0]).lazy()))) == 2


@pytest.mark.parametrize(
    ("log", "options", "message"),
    [
        (frame(core=[1.0]).head(0), {}, "no records"),
        (frame(core=[1.0], status=[10002]), {}, "10002"),
        (frame(core=[1.0]), {"metric": "speed"}, "core, cpu, resident, virtual"),
        (frame(core=[1.0]), {"metric": "phase"}, "core, cpu, resident, virtual"),
        (frame(core=[1.0]), {"pid": 5}, "pid=5; there are 1"),
        (frame(core=[1.0]), {"name": "m"}, "name='m'; there are 'n'"),
        (frame(core=[1.0]), {"phase": "fit"}, "phase='fit'; there are '__DEFAULT__'"),
        (frame(core=[1.0]), {"pid": 1, "name": "n"}, "not both"),
        (pl.DataFrame({"a": [1]}), {}, "columns of log_read"),
    ],
)
def test_what_cannot_be_plotted_is_named(log, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        log_plot(log, **options)
    assert isinstance(caught.value, AutometricError)


@pytest.mark.parametrize(
    ("log", "options"), [("x.log", {}), (frame(core=[1.0]), {"pid": "1"}), (frame(core=[1.0]), {"name": 1})]
)
def test_wrong_types(log, options):
    with pytest.raises(TypeError):
        log_plot(log, **options)


def spans(ax):
    """Beginnings and ends of the bands, by colour."""
    return [
        [(box.x0, box.x1) for box in (path.get_extents() for path in bars.get_paths())]
        for bars in ax.collections
    ]


def test_phases_shade_the_time_up_to_the_record_that_tells_of_them():
    ax = log_plot(frame(phase=["__DEFAULT__", "a", "a", "b", "__DEFAULT__", "a"]), phase_bands=True)
    assert spans(ax) == [[(0, 2), (4, 5)], [(2, 3)]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    colours = [handle.get_facecolor() for handle in ax.get_legend().legend_handles]
    assert [tuple(bars.get_facecolor()[0]) for bars in ax.collections] == colours


def test_many_phases_share_a_grey():
    ax = log_plot(frame(phase=[f"p{i}" for i in range(40)] * 2), phase_bands=True)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 10
    assert labels[-1] == "31 more"


def test_numbered_phases_are_one_where_they_are_too_many():
    phases = ["fit_1f3a5b7c9d1e3f50", "fit_aaaabbbbccccdddd", *(f"task-{i}" for i in range(20)), "face"]
    ax = log_plot(frame(phase=phases), phase_bands=True)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fit_*", "task-*", "face"]
    ax = log_plot(frame(phase=phases[:2]), phase_bands=True)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == phases[:2]


def test_without_phases_there_is_no_legend():
    ax = log_plot(frame(core=[1.0, 2.0]), phase_bands=True)
    assert ax.get_legend() is None
    assert not ax.collections


def test_the_picture_is_as_it_was_looked_at(workers, same_picture):
    ax = log_plot(workers, name="worker 3", phase_bands=True)
    same_picture(ax.figure, "log_plot.png")
