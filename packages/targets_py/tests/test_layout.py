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


def test_what_is_needed_late_stands_late():
    # 4 is needed by 3 alone, 6 by 5 and this by 3.
    layout = lay_out(7, [(0, 1), (1, 2), (2, 3), (4, 3), (6, 5), (5, 3)])
    assert layout.levels == [1, 2, 3, 4, 3, 3, 2]
    assert layout.bends == {}


def test_an_edge_across_levels_passes_beside_what_stands_there():
    layout = lay_out(5, [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)])
    assert [x for x, _ in layout.bends[0, 3]] == layout.x[1:3]
    assert layout.bends[0, 2] == layout.bends[0, 3][:1]  # one lane for what leaves the same vertex
    for x, y in layout.bends[0, 3]:
        there = [row for column, row in zip(layout.x, layout.y, strict=True) if column == x]
        assert min(abs(y - row) for row in there) >= 50
    assert set(layout.bends) == {(0, 3), (0, 2)}


def test_very_long_edges_go_straight():
    size = 200
    edges = [(vertex, vertex + 1) for vertex in range(size - 1)] + [(0, size - 1)]
    assert lay_out(size, edges).bends == {}


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
