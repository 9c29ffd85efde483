import re

import pytest

from targets_py import TarValidateWarning, tar_config_set, tar_mermaid
from targets_py.look import Vertex
from targets_py.mermaid import mermaid_text
from targets_py.network import Network


def mermaid(*args, **options):
    return tar_mermaid(*args, callr_function=None, **options)


def test_the_text_of_a_small_pipeline(project):
    project.make("""
    k = 1
    pipeline = [
        tar_target("x", [1, 2], description='say "hi" <b>'),
        tar_target("y", lambda x: x + k, pattern=map("x")),
    ]
    """)
    text = mermaid(label=["description", "branches"])
    identifiers = dict.fromkeys(re.findall(r"x[0-9a-f]{16}", text))
    for number, identifier in enumerate(identifiers):
        text = text.replace(identifier, f"#{number}")
    assert text.splitlines() == [
        "graph LR",
        "  style Legend fill:#FFFFFF00,stroke:#000000;",
        "  style Graph fill:#FFFFFF00,stroke:#000000;",
        "  subgraph Legend",
        '    #0(["Up to date"]):::uptodate',
        '    #1(["Regular<br>target"]):::none',
        '    #2["Dynamic<br>branches"]:::none',
        '    #3{{"Object"}}:::none',
        "    #0 --- #1",
        "    #1 --- #2",
        "    #2 --- #3",
        "  end",
        "  subgraph Graph",
        "    direction LR",
        '    #4{{"k"}}:::uptodate',
        '    #5(["x<br>say #quot;hi#quot; &lt;b>"]):::uptodate',
        '    #6["y<br>2 branches"]:::uptodate',
        "    #4 --> #6",
        "    #5 --> #6",
        "  end",
        "  classDef uptodate stroke:#000000,color:#ffffff,fill:#354823;",
        "  classDef none stroke:#000000,color:#000000,fill:#94a4ac;",
    ]


def test_without_legend_and_color(project):
    project.script('pipeline = [tar_target("x", 1)]')
    text = mermaid(legend=False, color=False)
    assert "Legend" not in text
    assert "classDef" not in text
    assert ":::" not in text


def test_labels_as_configured(project):
    project.script('pipeline = [tar_target("x", 1, description="a long description of x")]')
    assert "a long" not in mermaid()
    tar_config_set(label=["description"], label_width=10)
    assert "x<br>a long ..." in mermaid()
    assert "a long" not in mermaid(label=[])


def test_nothing_to_show(project):
    project.script("pipeline = []")
    assert mermaid() == ""


def test_notebooks_draw_it(project):
    project.script('pipeline = [tar_target("x", 1)]')
    text = mermaid()
    assert text._repr_markdown_() == f"```mermaid\n{text}\n```"


def test_more_edges_than_renderers_draw(project):
    project.script('pipeline = [tar_target("x", 1), *(tar_target(f"y{i}", "x") for i in range(501))]')
    with pytest.warns(TarValidateWarning, match="501 edges"):
        mermaid()


def test_an_edge_is_written_once():
    network = Network([Vertex("a", "stem"), Vertex("b", "stem")], [("a", "b")])
    text = mermaid_text(network, (), 30, legend=False, color=True)
    assert text.count("-->") == 1
    assert text.count('"a"') == 1
