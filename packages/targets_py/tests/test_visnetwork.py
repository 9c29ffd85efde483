import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from targets_py import TarValidateError, tar_config_set, tar_glimpse, tar_visnetwork
from targets_py.look import Vertex
from targets_py.network import Network
from targets_py.visnetwork import TarGraph

SCRIPT = """
def scale(value):
    return value * 2

pipeline = [
    tar_target("start", [1, 2], description="</script><b>bold</b> & more"),
    tar_target("scaled", lambda start: scale(start), pattern=map("start")),
]
"""


def data_of(html):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
    )


def graph(**options):
    return tar_visnetwork(callr_function=None, **options)


def test_the_page_holds_the_graph_and_loads_nothing(project):
    project.make(SCRIPT)
    html = graph(label=["description", "branches"]).html
    data = data_of(html)
    assert [vertex[:3] for vertex in data["vertices"]] == [
        ["scale", "function", "uptodate"],
        ["scaled", "pattern", "uptodate"],
        ["start", "stem", "uptodate"],
    ]
    assert data["edges"] == [[0, 1], [2, 1]]
    assert data["vertices"][1][5] == ["2 branches"]
    assert [kind for kind, _, _ in data["legend"]] == ["status", "type", "type", "type"]
    assert not re.search(r"""(src|href)\s*=\s*["']""", html.partition("cytoscape")[0])
    assert "default-src 'none'" in html
    assert "{{" not in html.replace("{{data}}", "").partition("<script>")[0]


def test_an_edge_across_levels_bends_in_the_page_and_in_the_picture(project):
    project.script("""
pipeline = [
    tar_target("first", lambda: 1),
    tar_target("second", lambda first: first),
    tar_target("third", lambda first, second: first + second),
]
""")
    found = graph()
    edges = data_of(found.html)["edges"]
    (bent,) = (edge for edge in edges if len(edge) == 3)
    assert bent[:2] == [0, 2]
    ((x, _),) = bent[2]
    assert x == data_of(found.html)["vertices"][1][3]
    assert [edge for edge in edges if edge is not bent] == [[0, 1], [1, 2]]
    curves = [path.get("d") for path in ET.fromstring(found.svg).iter("{http://www.w3.org/2000/svg}path")]
    assert sorted(curve.count("C") for curve in curves if "C" in curve) == [1, 1, 2]


def test_text_of_users_cannot_end_the_script(project):
    project.script(SCRIPT)
    html = graph(label="description").html
    assert "</script><b>" not in html
    assert data_of(html)["vertices"][2][5] == ["</script><b>bold</b> & more"]


def test_each_vertex_is_written_once(project):
    project.script(SCRIPT)
    assert graph().html.count('"scaled"') == 1


def test_five_thousand_targets():
    vertices = [Vertex(f"target_{number:04}", "stem", "described", "outdated") for number in range(5000)]
    edges = [(f"target_{number // 2:04}", f"target_{number:04}") for number in range(1, 5000)]
    html = TarGraph(Network(vertices, edges)).html
    assert len(html.encode()) < 5_000_000
    assert len(data_of(html)["vertices"]) == 5000


def test_tables(project):
    project.make(SCRIPT)
    found = graph()
    assert found.vertices["name"].to_list() == ["scale", "scaled", "start"]
    assert found.edges.rows() == [("scale", "scaled"), ("start", "scaled")]
    assert found.legend.columns == ["kind", "name", "label"]
    assert repr(found) == "<TarGraph of 3 vertices, 2 edges>"


def test_saving(project, tmp_path):
    project.script(SCRIPT)
    found = graph()
    found.save("out/graph.html")
    assert Path("out/graph.html").read_text() == found.html
    found.save(tmp_path / "graph.SVG")
    assert (tmp_path / "graph.SVG").read_text() == found.svg
    with pytest.raises(TarValidateError, match=r"the suffix must be \.html or \.svg"):
        found.save("graph.png")


def test_the_picture_is_valid_and_shows_every_vertex(project):
    project.make(SCRIPT)
    root = ET.fromstring(graph(label="description", label_width=60).svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"scale", "scaled", "start", "</script><b>bold</b> & more", "Up to date", "Function"} <= set(texts)
    shapes = [
        element.tag.rpartition("}")[2] for element in root if element.tag.endswith(("circle", "polygon"))
    ]
    assert sorted(shapes) == ["circle", "circle", "circle", "polygon", "polygon", "polygon", "polygon"]


def test_an_empty_graph_can_be_drawn(project):
    project.script("pipeline = []")
    assert data_of(graph().html)["vertices"] == []
    ET.fromstring(graph().svg)


def test_notebooks_show_the_page_in_a_frame(project):
    project.script(SCRIPT)
    shown = graph()._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert 'sandbox="allow-scripts"' in shown


def test_showing_opens_a_browser(project, monkeypatch):
    project.script(SCRIPT)
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    found = graph()
    found.show()
    page = Path(opened[0].removeprefix("file://"))
    assert page.read_text() == found.html
    page.unlink()


def test_a_glimpse_looks_at_no_store(project):
    project.make(SCRIPT)
    data = data_of(tar_glimpse(callr_function=None, label="description").html)
    assert [vertex[:3] for vertex in data["vertices"]] == [
        ["scaled", "pattern", "none"],
        ["start", "stem", "none"],
    ]
    assert [kind for kind, _, _ in data["legend"]] == ["type", "type"]
    assert data["vertices"][1][5] == ["</script><b>bold</b> & more"]
    whole = tar_glimpse(targets_only=False, callr_function=None)
    assert whole.vertices["name"].to_list() == ["scale", "scaled", "start"]
    assert set(whole.vertices["status"]) == {"none"}


def test_settings_of_the_project(project):
    project.script(SCRIPT)
    tar_config_set(label=["description"], label_width=8, level_separation=99)
    data = data_of(graph(degree_from=3, degree_to=2, zoom_speed=0.5, physics=True).html)
    assert data["vertices"][2][5] == ["</scr..."]
    assert sorted({vertex[3] for vertex in data["vertices"]}) == [0, 99]
    assert (data["degree_from"], data["degree_to"], data["zoom_speed"], data["physics"]) == (3, 2, 0.5, True)
