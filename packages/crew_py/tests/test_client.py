import pytest

import crew_py
import mirai_py


@pytest.fixture
def client():
    client = crew_py.crew_client(host="127.0.0.1")
    yield client
    client.terminate()


def test_nothing_is_open_before_the_start(client):
    assert client.url is None
    assert client.started is False
    assert set(client.status().values()) == {0}
    client.terminate()


def test_start_listens_at_a_free_port(client):
    client.start()
    assert client.started
    assert client.url.startswith("tcp://127.0.0.1:")
    assert int(client.url.rpartition(":")[2]) > 0
    assert mirai_py.daemons_set(client.profile)


def test_start_is_idempotent_and_so_is_terminate(client):
    client.start()
    url = client.url
    client.start()
    assert client.url == url
    client.terminate()
    client.terminate()
    assert client.url is None
    assert not mirai_py.daemons_set(client.profile)


def test_it_can_be_started_again(client):
    client.start()
    client.terminate()
    client.start()
    assert client.status()["connections"] == 0


def test_a_profile_in_use_is_refused(client):
    with mirai_py.daemons(url=mirai_py.local_url(), compute=client.profile) as other:
        assert other
        with pytest.raises(crew_py.crew_error, match=f"{client.profile}.*in use.*://"):
            client.start()


def test_a_port_in_use_is_named(client):
    client.start()
    other = crew_py.crew_client(host="127.0.0.1", port=int(client.url.rpartition(":")[2]))
    with pytest.raises(crew_py.crew_error, match="cannot listen"):
        other.start()
    assert not other.started
    assert not mirai_py.daemons_set(other.profile)


def test_status_is_all_zero_after_someone_reset_the_profile(client):
    client.start()
    mirai_py.daemons(0, compute=client.profile)
    assert client.status() == dict.fromkeys(
        ("connections", "cumulative", "awaiting", "executing", "completed"), 0
    )


def test_status_counts_tasks(client):
    client.start()
    task = mirai_py.mirai(pow, 2, 3, _compute=client.profile)
    assert client.status()["awaiting"] == 1
    task.cancel()
    assert client.status()["completed"] == 1


def test_the_relay_is_signalled_by_a_resolved_task(client):
    client.start()
    mirai_py.mirai(pow, 2, 3, _compute=client.profile).cancel()
    assert client.relay.condition.until(2000)


def test_loopback_is_not_encrypted_by_default_and_networks_are():
    assert crew_py.crew_client(host="127.0.0.1").tls.mode == "none"
    assert crew_py.crew_client(host="localhost").tls.mode == "none"
    assert crew_py.crew_client(host="192.0.2.2").tls.mode == "automatic"


def test_the_default_host_is_an_address_of_this_machine(monkeypatch):
    monkeypatch.setattr("nngsock.ip_addr", lambda: {"lo": "127.0.0.1", "eth0": "192.0.2.2"})
    assert crew_py.crew_client().host == "192.0.2.2"
    monkeypatch.setattr("nngsock.ip_addr", dict)
    with pytest.raises(crew_py.crew_error, match="`host`"):
        crew_py.crew_client()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"port": 70000}, "`port`"),
        ({"port": "5"}, "`port`"),
        ({"seconds_interval": 2, "seconds_timeout": 1}, "seconds_timeout"),
        ({"tls": "none"}, "`tls`"),
        ({"profile": ""}, "`profile`"),
        ({"host": 5}, "`host`"),
    ],
)
def test_arguments_are_checked(arguments, match):
    with pytest.raises(crew_py.crew_error, match=match):
        crew_py.crew_client(**{"host": "127.0.0.1"} | arguments)
