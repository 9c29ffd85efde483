"""Closing WebSockets, which NNG 1.11 alone does not survive: it frees what it still uses."""

import pytest

SCENES = {
    "after messages": """
        for i in range(15):
            a, b = pair()
            nngsock.send(b, 1, block=5000); nngsock.recv(a, block=5000)
            for x in (a, b) if i % 2 else (b, a):
                x.close()
    """,
    "by the garbage collector": """
        for _ in range(15):
            a, b = pair()
            nngsock.send(b, 1, block=5000); nngsock.recv(a, block=5000)
            del a, b
    """,
    "listeners": """
        for _ in range(15):
            a, b = pair()
            a.listener[0].close(); b.dialer[0].close()
    """,
    "at the end of the process": """
        pairs = [pair() for _ in range(10)]
        for a, b in pairs:
            nngsock.send(a, bytes(1_000_000), "raw")
    """,
}


# NNG may abort the process there all the same, once in thousands of times: see the ledger.
RISKY = pytest.param(
    """
        a, b = pair()
        for i in range(15):
            with nngsock.socket("pair1") as s:
                nngsock.dial(s, a.listener[0].url, tls=client)
                nngsock.msleep(i % 15)
    """,
    id="while a dialer is at work",
    marks=pytest.mark.slow,
)


@pytest.mark.parametrize("scene", [*(pytest.param(s, id=name) for name, s in SCENES.items()), RISKY])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_closing_harms_nobody(run_script, certificates, scheme, scene):
    code = """
        import sys, nngsock
        scheme, folder = sys.argv[1:]
        tls = scheme == "wss"
        server = nngsock.tls_config(server=folder + "/server.pem") if tls else None
        client = nngsock.tls_config(client=folder + "/server.pem") if tls else None
        def pair():
            a = nngsock.socket("pair1", listen=scheme + "://127.0.0.1:0/", tls=server)
            return a, nngsock.socket("pair1", dial=a.listener[0].url, tls=client, autostart=None)
    """
    done = run_script(code + scene + "    print('done')", scheme, str(certificates.folder), timeout=60)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("done", "", 0)
