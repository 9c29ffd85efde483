import pytest

import nngsock


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (100, "100 | Continue"),
        (200, "200 | OK"),
        (208, "208 | Already Reported"),
        (226, "226 | IM Used"),
        (404, "404 | Not Found"),
        (404.9, "404 | Not Found"),
        (413, "413 | Content Too Large"),
        (416, "416 | Range Not Satisfiable"),
        (418, "418 | I'm a teapot"),
        (425, "425 | Too Early"),
        (508, "508 | Loop Detected"),
        (600, "600 | Unknown HTTP Status"),
        (-1, "-1 | Unknown HTTP Status"),
    ],
)
def test_a_code_is_described(code, text):
    assert nngsock.status_code(code) == text


@pytest.mark.parametrize("code", ["404", None, True])
def test_something_else_is_no_code(code):
    with pytest.raises(TypeError, match="must be a status code"):
        nngsock.status_code(code)
