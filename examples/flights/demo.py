"""Make the pipeline with a log of its resources, draw the graph and the log, and tell where everything is.

The same by hand: `targets make --metrics results/metrics/main.log`, then
`targets visnetwork -o results/graph.svg` and `autometric report results/metrics`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path("results")
METRICS = RESULTS / "metrics"


def main() -> int:
    begun = time.time()
    earlier = set(METRICS.glob("*.log"))
    fresh = METRICS.with_name(f"metrics-{int(begun)}")
    targets = [sys.executable, "-m", "targets_py"]
    code = subprocess.run([*targets, "make", "--metrics", str(fresh / "main.log")], check=False).returncode
    worked = any(fresh.glob("crew_log_*.log"))
    if worked or not earlier:
        shutil.rmtree(METRICS, ignore_errors=True)
        fresh.rename(METRICS)
        draw_resources(METRICS, RESULTS / "resources.png")
        subprocess.run(
            [*targets, "visnetwork", "--targets-only", "-o", str(RESULTS / "graph.svg")], check=True
        )
    else:
        shutil.rmtree(fresh)
    tell(time.time() - begun)
    return code


def draw_resources(metrics: Path, picture: Path) -> None:
    """Draw cpu and memory of the main process and of each worker over time, phases marked."""
    import polars as pl
    from matplotlib.figure import Figure

    from autometric_py import log_read

    # A branch is named after its pattern and a hash; one colour for each pattern is what a reader can use.
    step = pl.col("phase").str.replace("^prepare: ", "").str.replace("_[0-9a-f]{16}$", "")
    log = log_read(metrics).filter(pl.col("status") == 0, pl.col("name") != "command")
    log = log.with_columns(step.replace("__DEFAULT__", "idle").alias("step")).sort("time")
    workers = [name for name in log["name"].unique(maintain_order=True) if name != "main"]
    rows = {"main": "main process", **{name: f"worker {i + 1}" for i, name in enumerate(workers)}}
    steps = [name for name in log["step"].unique(maintain_order=True) if name != "idle"]
    colours = {name: f"C{i}" for i, name in enumerate(steps)}

    figure = Figure(figsize=(11, 1.2 + 1.5 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 2, sharex=True, sharey="col", squeeze=False)
    for (name, title), (cpu, memory) in zip(rows.items(), grid, strict=True):
        process = log.filter(pl.col("name") == name)
        for axes, metric in ((cpu, "core"), (memory, "resident")):
            mark_steps(axes, process, colours)
            axes.plot(process["time"], process[metric], color="0.15", linewidth=1.1)
            axes.spines[["top", "right"]].set_visible(False)
        cpu.set_title(title, loc="left", fontsize=10)
    grid[0][0].set_title("cpu, % of one core", loc="right", fontsize=9)
    grid[0][1].set_title("memory, MB", loc="right", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    handles = [figure.axes[0].fill_between([], [], color=colours[name], alpha=0.35) for name in steps]
    figure.legend(handles, steps, loc="outside lower center", ncols=8, frameon=False, fontsize=8)
    figure.savefig(picture, dpi=150)


def mark_steps(axes, process, colours: dict[str, str]) -> None:
    """Shade the time in which a step was at work: a sample stands for the interval that it ends."""
    times, steps = process["time"].to_list(), process["step"].to_list()
    for before, now, step in zip(times, times[1:], steps[1:], strict=False):
        if step in colours:
            axes.axvspan(before, now, color=colours[step], alpha=0.35, linewidth=0)


def tell(seconds: float) -> None:
    """Print how long each step took, what came out and where it is."""
    from targets_py import tar_meta, tar_read

    meta = tar_meta(fields=["type", "seconds"], targets_only=True)
    print("\nseconds  step (a pattern: the sum of its branches)")
    for name, kind, taken in meta.iter_rows():
        if kind != "branch":
            print(f"{taken or 0.0:7.1f}  {name}")
    tell_effects(tar_read("carriers"))
    files = {
        "table of results": "effects.csv",
        "figure of delays": "delays.png",
        "dependency graph": "graph.svg",
        "cpu and memory": "resources.png",
    }
    print()
    for what, name in files.items():
        print(f"{what:17s} {(RESULTS / name).resolve()}")
    print(f"\ndone in {seconds:.1f} s; a second run has nothing to do, until something in functions/ changes")


def tell_effects(carriers) -> None:
    """Print by how much each condition adds to the delays of the largest carriers."""
    largest = carriers.unique("group").sort("flights", descending=True)["group"].head(3).to_list()
    cells = {
        (group, term): f"{estimate:.1f} [{low:.1f}, {high:.1f}]"
        for group, term, estimate, low, high in carriers.select(
            "group", "term", "estimate", "low", "high"
        ).iter_rows()
    }
    print("\nminutes that are added to a departure's delay, with 95 % intervals")
    print(" " * 27, *(f"{group:>19s}" for group in largest))
    for term in carriers["term"].unique(maintain_order=True):
        print(f"{term:27s}", *(f"{cells[group, term]:>19s}" for group in largest))


if __name__ == "__main__":
    sys.exit(main())
