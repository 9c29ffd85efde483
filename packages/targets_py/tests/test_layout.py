import random

from targets_py.layout import lay_out


def crossings(edges, layout):
    count = 0
    for number, (a, b) in enumerate(edges):
        for c, d in edges[:number]:
            if layout.levels[a] == layout.levels[c] and layout.levels[b] == layout.levels[d]:
                count += (layout.y[a] - layout.y[c]) * (layout.y[b] - layout.y[d]) < 0
    return count


def test_levels_follow_the_longest_path():
    layout = lay_out(5, [(0, 1), (1, 2), (0, 2)])
    assert layout.levels == [1, 2, 3, 1, 1]
    assert layout.x[0] < layout.x[1] < layout.x[2]
    assert layout.x[3] == layout.x[0]


def test_nothing_and_one():
    assert lay_out(0, []).levels == []
    assert lay_out(1, []).y == [0.0]


def test_no_two_vertices_share_a_place():
    generator = random.Random(1)
    edges = [(generator.randrange(0, sink), sink) for sink in range(1, 200) for _ in range(2)]
    layout = lay_out(200, sorted(set(edges)))
    assert len(set(zip(layout.x, layout.y, strict=True))) == 200


def test_crossings_are_undone():
    # Two bundles of chains, declared crosswise.
    edges = [(0, 5), (1, 4), (2, 7), (3, 6), (4, 9), (5, 8), (6, 11), (7, 10)]
    assert crossings(edges, lay_out(12, edges)) == 0


def test_separation():
    edges = [(0, sink) for sink in range(1, 11)]
    assert lay_out(11, edges).x[1] == 150 * 10 / 2
    assert lay_out(3, [(0, 1), (1, 2)]).x == [0, 150, 300]
    assert lay_out(3, [(0, 1), (1, 2)], level_separation=80).x == [0, 80, 160]
