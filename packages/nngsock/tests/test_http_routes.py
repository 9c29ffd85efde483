"""Which handler a request is for."""

import pytest

from nngsock.http import handler, handler_directory, handler_inline, handler_redirect, handler_ws
from nngsock.http.routes import Routes


def named(path, **options):
    return handler(path, lambda req: None, **options)


ROOT = named("/")
EXACT, TREE = named("/p"), named("/p", prefix=True)
LONGER = named("/p/long", prefix=True)
POST = named("/post", method="POST")
ANY, GET = named("/any", method="*"), named("/any")
ROUTES = Routes([ROOT, TREE, EXACT, POST, LONGER, ANY, GET])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ROOT),
        ("/p", EXACT),
        ("/p/", EXACT),
        ("/p//", TREE),
        ("/p/q", TREE),
        ("/px", None),
        ("/p/long", LONGER),
        ("/p/long/er", LONGER),
        ("/p/longer", TREE),
        ("/nowhere", None),
        ("", ROOT),
        ("/any", GET),
    ],
)
def test_the_longest_path_wins_and_an_exact_one_before_a_prefix(path, found):
    assert ROUTES.find(path, "GET") == (found, set())


def test_the_order_in_which_handlers_are_given_plays_no_part():
    backwards = Routes([GET, ANY, LONGER, POST, EXACT, TREE, ROOT])
    for path in ("/p", "/p/q", "/p/long/er", "/any"):
        assert backwards.find(path, "GET") == ROUTES.find(path, "GET")


def test_a_method_that_no_handler_has_is_told_from_a_path_that_none_has():
    assert ROUTES.find("/post", "GET") == (None, {"POST"})
    assert ROUTES.find("/p", "PUT") == (None, {"GET", "HEAD"})
    assert ROUTES.find("/any", "PUT")[0] is ANY


def test_a_shorter_path_answers_the_methods_that_the_longer_one_lacks():
    routes = Routes([named("/a", prefix=True, method="*"), named("/a/b")])
    assert routes.find("/a/b", "PUT")[0].path == "/a"


def test_head_is_answered_by_the_handler_for_get_unless_there_is_one_of_its_own():
    assert ROUTES.find("/p", "HEAD")[0] is EXACT
    own = named("/p", method="head")
    assert Routes([EXACT, own]).find("/p", "HEAD")[0] is own


def test_a_prefix_of_the_root_is_for_all():
    rest = named("", prefix=True)
    assert Routes([rest, EXACT]).find("/whatever", "GET")[0] is rest


def test_websockets_have_paths_of_their_own():
    ws = handler_ws("/p", print)
    routes = Routes([EXACT, ws])
    assert routes.find_socket("/p/") is ws
    assert routes.find_socket("/p/q") is None
    assert routes.find("/p", "GET")[0] is EXACT


@pytest.mark.parametrize(
    "pair", [(EXACT, named("/p/")), (handler_ws("/p", print), handler_ws("/p", repr))], ids=["http", "ws"]
)
def test_two_handlers_for_the_same_are_refused(pair):
    with pytest.raises(ValueError, match="two of `handlers` are for GET /p"):
        Routes(pair)


def test_what_is_no_handler_is_refused():
    with pytest.raises(ValueError, match="`handlers` must be handlers"):
        Routes([{"type": 99, "path": "/"}])


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: handler("a", print), ValueError, "`path` must begin with a slash"),
        (lambda: handler(1, print), TypeError, "`path` must be a str"),
        (lambda: handler("/", "no"), TypeError, "`callback` must be a function"),
        (lambda: handler("/", print, method=""), ValueError, "`method` must be a method"),
        (lambda: handler_ws("/", print, on_close=1), TypeError, "`on_close` must be a function"),
        (lambda: handler_inline("/", 1), TypeError, "`data` must be a str or bytes-like"),
        (lambda: handler_redirect("/", "/x", status=200), ValueError, "301, 302, 303, 307 or 308"),
        (lambda: handler_redirect("/", "/x\nSet-Cookie: y"), ValueError, "`location` must be one line"),
        (lambda: handler_directory("/", 1), TypeError, "int"),
    ],
)
def test_a_handler_that_cannot_be_is_refused_where_it_is_made(make, error, text):
    with pytest.raises(error, match=text):
        make()
