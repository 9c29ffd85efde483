"""Spans of OpenTelemetry, of hosts and daemons in processes of their own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

# What a daemon runs at its start, where its own spans go to a file.
CONFIGURE = """
import os
if "MIRAI_PY_LOCAL" in os.environ:
    import json
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    provider = TracerProvider()
    out = open(os.environ["SPANS"], "a", buffering=1)
    line = lambda span: json.dumps(json.loads(span.to_json())) + "\\n"
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out, formatter=line)))
    trace.set_tracer_provider(provider)
"""

HOST = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

import mirai_py
{work}
done = __import__("threading").Event()  # spans end on the thread for callbacks
mirai_py.handles.callbacks.put(done.set)
done.wait()
print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))
"""


@pytest.fixture
def spans(tmp_path):
    """Run a host; gives the spans of it and its daemons."""
    pytest.importorskip("opentelemetry.sdk")
    (tmp_path / "sitecustomize.py").write_text(CONFIGURE)
    (tmp_path / "spans").touch()

    def run(work):
        done = subprocess.run(
            [sys.executable, "-c", HOST.format(work=textwrap.dedent(work))],
            env={**os.environ, "PYTHONPATH": str(tmp_path), "SPANS": str(tmp_path / "spans")},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        there = (tmp_path / "spans").read_text().splitlines()
        return [*json.loads(done.stdout), *map(json.loads, there)]

    return run


def named(spans, start):
    return [span for span in spans if span["name"].startswith(start)]


def identity(span):
    return span["context"]["trace_id"], span["context"]["span_id"]


def linked(span):
    return [identity(link) for link in span["links"]]


def parent(span):
    return span["parent_id"] and (span["context"]["trace_id"], span["parent_id"])


def test_one_set_a_map_of_three_two_mirais_and_a_reset_are_fifteen_spans(spans):
    found = spans("""
    mirai_py.daemons(1, url=None)
    mirai_py.mirai_map(range(3), abs).collect()
    for x in (-1, 2):
        mirai_py.mirai(abs, x).collect()
    mirai_py.daemons(0)
    """)
    assert len(found) == 15
    (begin,), (end,) = named(found, "daemons set "), named(found, "daemons reset ")
    (come,), (go,) = named(found, "daemon connect "), named(found, "daemon disconnect ")
    (mapped,) = named(found, "mirai_map")
    mirais = [span for span in found if span["name"] == "mirai"]
    evals = named(found, "daemon eval")
    assert (len(mirais), len(evals)) == (5, 5)

    assert {span["kind"] for span in (begin, end, come, go, mapped)} == {"SpanKind.INTERNAL"}
    assert {span["kind"] for span in mirais} == {"SpanKind.CLIENT"}
    assert {span["kind"] for span in evals} == {"SpanKind.SERVER"}

    assert [linked(span) for span in (mapped, end, *mirais)] == [[identity(begin)]] * 7
    assert [linked(span) for span in (go, *evals)] == [[identity(come)]] * 6

    assert {parent(span) for span in evals} == {identity(span) for span in mirais}
    assert sorted(parent(span) == identity(mapped) for span in mirais) == [False] * 2 + [True] * 3
    assert [span for span in mirais if parent(span) not in (None, identity(mapped))] == []

    url = begin["name"].removeprefix("daemons set ")
    assert {end["name"], come["name"], go["name"]} == {
        f"daemons reset {url}",
        f"daemon connect {url}",
        f"daemon disconnect {url}",
    }
    address = {"server.address": url.removeprefix("abstract://"), "network.transport": "unix"}
    assert (
        begin["attributes"]
        == end["attributes"]
        == {
            **address,
            "mirai.dispatcher": True,
            "mirai.compute": "default",
        }
    )
    assert come["attributes"] == go["attributes"] == address
    assert len({span["attributes"]["mirai.id"] for span in mirais}) == 5
    assert {span["status"]["status_code"] for span in found} == {"UNSET"}


def test_failures_are_marked_and_never_told(spans):
    found = spans("""
    with mirai_py.daemons(1):
        mirai_py.mirai("raise ValueError('secret')").collect()
        mirai_py.mirai("raise KeyboardInterrupt('secret')").collect()
        mirai_py.mirai(lambda: __import__("threading").Lock()).collect()
        try:
            mirai_py.mirai(abs, __import__("threading").Lock())
        except TypeError:
            pass
    """)
    assert "secret" not in json.dumps(found)
    marks = [span["status"].get("description") for span in found if span["name"] == "mirai"]
    assert sorted(map(str, marks)) == ["None", "miraiError", "miraiError", "miraiInterrupt"]
    marks = [span["status"].get("description") for span in named(found, "daemon eval")]
    assert sorted(map(str, marks)) == ["None", "miraiError", "miraiInterrupt"]
    assert all(not span["events"] for span in found)


def test_a_users_own_span_is_the_parent_and_tasks_may_have_theirs(spans):
    found = spans("""
    def theirs():
        from opentelemetry import trace

        with trace.get_tracer("user").start_as_current_span("theirs"):
            pass

    with mirai_py.daemons(1), trace.get_tracer("user").start_as_current_span("mine"):
        mirai_py.mirai(theirs).collect()
    """)
    (mine,), (theirs,), (m,) = named(found, "mine"), named(found, "theirs"), named(found, "mirai")
    (evaluated,) = named(found, "daemon eval")
    assert parent(m) == identity(mine)
    assert parent(theirs) == identity(evaluated)


def test_all_ways_to_submit_have_spans(spans):
    found = spans("""
    with mirai_py.daemons(1):
        list(mirai_py.mirai_imap(range(3), abs))
        mirai_py.try_mirai(abs, -1).collect()
        mirai_py.mirai_map([], abs).collect()
        mirai_py.everywhere("1").collect()
    with mirai_py.make_cluster(1) as cluster:
        cluster.submit(abs, -1).result()
    """)
    assert len([span for span in found if span["name"] == "mirai"]) == 5
    assert len(named(found, "daemon eval")) == 5
    assert len(named(found, "mirai_map")) == 1
    assert len(named(found, "daemons set ")) == len(named(found, "daemons reset ")) == 2


def test_a_map_that_cannot_be_sent_sends_nothing_and_ends_its_spans(spans):
    found = spans("""
    with mirai_py.daemons(1):
        try:
            mirai_py.mirai_map([1, 2, __import__("threading").Lock()], abs)
        except TypeError:
            assert mirai_py.info()["completed"] == 0
    """)
    assert len([span for span in found if span["name"] == "mirai"]) == 3
    assert len(named(found, "mirai_map")) == 1
    assert named(found, "daemon eval") == []


def test_sync_evaluates_here(spans):
    found = spans("""
    with mirai_py.daemons(sync=True):
        mirai_py.mirai(abs, -1)
    """)
    (m,), (evaluated,) = [s for s in found if s["name"] == "mirai"], named(found, "daemon eval")
    assert parent(evaluated) == identity(m)


def test_without_a_provider_nothing_is_traced():
    pytest.importorskip("opentelemetry")
    source = """
import opentelemetry.trace
import mirai_py
with mirai_py.daemons(sync=True):
    print(mirai_py.profiles.find_profile(None).tracing)
"""
    assert subprocess.check_output([sys.executable, "-c", source], text=True) == "None\n"


def test_without_use_of_opentelemetry_it_is_not_even_imported():
    source = """
import sys, mirai_py
with mirai_py.daemons(1):
    there = mirai_py.mirai("import sys; [m for m in sys.modules if m.startswith('opentelemetry')]").collect()
print(there, [m for m in sys.modules if m.startswith("opentelemetry")])
"""
    assert subprocess.check_output([sys.executable, "-c", source], text=True) == "[] []\n"


@pytest.mark.parametrize(
    ("url", "attributes"),
    [
        (
            "tcp://127.0.0.1:5555",
            {"server.address": "127.0.0.1", "server.port": 5555, "network.transport": "tcp"},
        ),
        ("wss://[::1]:80/path", {"server.address": "::1", "server.port": 80, "network.transport": "tcp"}),
        (
            "tls+tcp://host.name:1",
            {"server.address": "host.name", "server.port": 1, "network.transport": "tcp"},
        ),
        ("ipc:///tmp/socket", {"server.address": "/tmp/socket", "network.transport": "unix"}),
    ],
)
def test_addresses_are_told_in_the_words_of_opentelemetry(url, attributes):
    pytest.importorskip("opentelemetry")
    from mirai_py.spans import address_of

    assert address_of(url) == attributes
