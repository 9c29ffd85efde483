import os
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser

import polars as pl
import pytest

from autometric_py import AutometricError, log_report


@pytest.fixture
def log(workers):
    """Three of the workers, as each takes its time to draw."""
    return workers.filter(pl.col("pid").is_in([20_000, 20_002, 20_005]))


class Page(HTMLParser):
    """What a page holds: the rows of its tables, and whatever it would load from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.loads, self.ids, self.cell = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.loads += [v for k, v in attrs if k in {"src", "href", "xlink:href"} and not v.startswith("#")]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        self.cell = False if tag in {"td", "th"} else self.cell

    def handle_data(self, data):
        if self.cell:
            self.rows[-1][-1] += data


def test_a_report_is_one_page_that_needs_nothing_else(log, tmp_path):
    path = log_report(log, tmp_path / "new" / "report.html", "Crew & friends")
    page = Page(path.read_text())
    assert page.loads == []
    assert "@import" not in path.read_text()
    assert len(page.ids) == len(set(page.ids))
    assert "<h1>Crew &amp; friends</h1>" in path.read_text()
    assert path.read_text().count("<svg") == 2


def test_a_report_has_peaks_per_process_and_per_phase(log, tmp_path):
    rows = Page(log_report(log, tmp_path / "report.html").read_text()).rows
    one = log.filter(pl.col("name") == "worker 5")
    peak, mean = f"{one['resident'].max():,.1f}", f"{one['resident'].mean():,.1f}"
    assert any(row[:2] == ["worker 5", "20005"] and peak in row and mean in row for row in rows)
    assert any(row[0] == "fit model" for row in rows)
    assert any(row[:3] == ["worker 5", "20005", "fit model"] for row in rows)
    assert rows[0][:6] == ["process", "pid", "records", "from, s", "to, s", "peak memory, MB"]


def test_the_units_stand_on_the_page(log, tmp_path):
    path = log_report(log, tmp_path / "r.html", units_memory="gigabytes", units_time="minutes")
    assert {"peak memory, GB", "from, min"} <= set(Page(path.read_text()).rows[0])
    with pytest.raises(ValueError, match="units_memory"):
        log_report(log, tmp_path / "r.html", units_memory="GB")


def test_names_are_text_not_markup(log, tmp_path):
    evil = log.with_columns(name=pl.lit("<script>alert('x')</script>"), phase=pl.lit('"><b>'))
    text = log_report(evil, tmp_path / "report.html").read_text()
    assert "<script>alert" not in text
    assert "<b>" not in text


def test_records_that_do_not_count_are_told_of(log, tmp_path):
    bad = log.head(3).with_columns(status=pl.lit(10002, pl.Int64))
    text = log_report(pl.concat([log, bad]), tmp_path / "report.html").read_text()
    assert "3 more of processes that could not be measured (status 10002)" in text


def test_the_same_log_gives_the_same_page(log, tmp_path):
    first = log_report(log, tmp_path / "a.html").read_text()
    assert log_report(log.lazy(), tmp_path / "b.html").read_text() == first


def test_a_report_that_cannot_be_made(log, tmp_path):
    with pytest.raises(AutometricError, match="no records"):
        log_report(log.head(0), tmp_path / "r.html")
    (tmp_path / "file").touch()
    with pytest.raises(AutometricError, match="cannot be written"):
        log_report(log, tmp_path / "file" / "r.html")
    with pytest.raises(TypeError, match="title"):
        log_report(log, tmp_path / "r.html", 3)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_a_click_on_a_heading_sorts(log, tmp_path):
    path = log_report(log, tmp_path / "report.html")
    clicks = """<script>
    const table = document.querySelector("table"), orders = [];
    for (const column of [5, 5, 0]) {
      table.querySelectorAll("th button")[column].click();
      orders.push([...table.tBodies[0].rows].map(row => row.cells[0].textContent).join());
    }
    document.title = orders.join(";");
    </script></body>"""
    path.write_text(path.read_text().replace("</body>", clicks))
    # It makes sockets in the folder for temporary files, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="chromium-", dir="/tmp") as short:
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={short}/profile",
             "--dump-dom", path.as_uri()],
            capture_output=True, text=True, check=True, timeout=50, env=os.environ | {"TMPDIR": short},
        )  # fmt: skip
    by_peak = (
        log.group_by("name").agg(pl.col("resident").max()).sort("resident", descending=True)["name"].to_list()
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    assert title.split(";") == [",".join(order) for order in (by_peak, by_peak[::-1], sorted(by_peak))]
