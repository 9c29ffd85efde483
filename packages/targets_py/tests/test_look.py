from targets_py.look import Vertex, label_lines, legend_entries


def test_labels():
    vertex = Vertex("fit", "pattern", "a model of everything", "completed", 0.012, 4371, 3)
    assert label_lines(vertex, ["branches", "time", "size"], 30) == ["fit", "12ms", "4.37 kB", "3 branches"]
    assert label_lines(vertex, ["description"], 10) == ["fit", "a model..."]
    assert label_lines(Vertex("a_long_name", "stem"), ["time", "branches"], 6) == ["a_l..."]
    assert label_lines(Vertex("name", "stem"), [], 2) == [".."]


def test_the_legend_names_what_occurs():
    vertices = [
        Vertex("x", "stem", status="outdated"),
        Vertex("f", "function"),
        Vertex("y", "stem", status="completed"),
    ]
    assert legend_entries(vertices) == [
        ("status", "completed", "Completed"),
        ("status", "outdated", "Outdated"),
        ("type", "stem", "Regular\ntarget"),
        ("type", "function", "Function"),
    ]
