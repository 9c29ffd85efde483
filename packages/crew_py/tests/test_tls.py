import pytest

import crew_py
import mirai_py
import nngsock

KEY = "-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nYg==\n-----END CERTIFICATE-----\n"


@pytest.fixture
def files(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    key.write_text(KEY)
    certificate.write_text(CERTIFICATE)
    return str(key), str(certificate)


def test_none_needs_nothing_and_gives_a_plain_url():
    tls = crew_py.crew_tls()
    assert tls.client() is None
    assert tls.worker("profile") is None
    assert tls.url("127.0.0.1", None) == "tcp://127.0.0.1:0"


def test_automatic_gives_an_encrypted_url():
    assert crew_py.crew_tls(mode="automatic").url("::1", 5700) == "tls+tcp://[::1]:5700"


def test_custom_gives_each_side_its_part(files):
    key, certificate = files
    tls = crew_py.crew_tls(mode="custom", key=key, certificates=[certificate, certificate], password="secret")
    assert tls.client() == (CERTIFICATE * 2, KEY)
    assert tls.worker("profile") == (CERTIFICATE * 2, "")


def test_the_password_is_not_shown(files):
    tls = crew_py.crew_tls(mode="custom", key=files[0], certificates=files[1], password="secret")
    assert "secret" not in repr(tls)


@pytest.mark.parametrize("field", ["key", "password", "certificates"])
def test_other_modes_take_no_files(field):
    with pytest.raises(crew_py.crew_error, match=f"`{field}`"):
        crew_py.crew_tls(mode="automatic", **{field: "x"})


def test_custom_needs_key_and_certificates(files):
    with pytest.raises(crew_py.crew_error, match="key"):
        crew_py.crew_tls(mode="custom", certificates=[files[1]])


@pytest.mark.parametrize(
    "content", ["", "no PEM", CERTIFICATE, KEY.replace("END PRIVATE", "END ENCRYPTED PRIVATE")]
)
def test_a_bad_key_file_is_named(files, content, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text(content)
    with pytest.raises(crew_py.crew_error, match=r"bad\.pem"):
        crew_py.crew_tls(mode="custom", key=str(bad), certificates=files[1])


def test_a_missing_certificate_is_named(files):
    with pytest.raises(crew_py.crew_error, match=r"absent\.pem"):
        crew_py.crew_tls(mode="custom", key=files[0], certificates=["absent.pem"])


def test_files_may_be_checked_later(files):
    tls = crew_py.crew_tls(mode="custom", key="absent.pem", certificates=files[1], validate=False)
    tls.validate(test=False)
    with pytest.raises(crew_py.crew_error, match=r"absent\.pem"):
        tls.validate()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="`mode`"):
        crew_py.crew_tls(mode="perhaps")


# On a real connection.


def serve(controller):
    controller.push("import os; os.environ['CREW_CONTROLLER']")
    controller.wait(seconds_timeout=50)
    return controller.pop()["result"][0]


def test_automatic_encrypts_the_workers_with_a_certificate_of_each_start(local):
    controller = local(name="secret", workers=2, tls=crew_py.crew_tls(mode="automatic"))
    certificates = []
    for _ in range(2):
        controller.start()
        assert controller.client.url.startswith("tls+tcp://127.0.0.1:")
        assert serve(controller) == "secret"
        certificates.append(mirai_py.nextget("tls", compute=controller.client.profile))
        controller.terminate()
    assert certificates[0] != certificates[1]


@pytest.mark.parametrize("password", [None, "secret"])
def test_custom_encrypts_the_workers_with_the_certificate_and_key_of_files(local, tmp_path, password):
    chain, text = nngsock.write_cert("127.0.0.1")["server"]
    if password is not None:
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(text.encode(), None)
        lock = serialization.BestAvailableEncryption(password.encode())
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        text = key.private_bytes(*pem, lock).decode()
    paths = tmp_path / "key.pem", tmp_path / "certificate.pem"
    for path, content in zip(paths, (text, chain), strict=True):
        path.write_text(content)
    tls = crew_py.crew_tls("custom", str(paths[0]), password, [str(paths[1])])
    controller = local(name="custom", workers=1, tls=tls)
    controller.start()
    assert serve(controller) == "custom"
    trusted, _ = mirai_py.nextget("tls", compute=controller.client.profile)
    assert trusted == chain


def test_a_worker_that_does_not_know_the_controller_leaves_and_says_so(local, capfd):
    controller = local(workers=1, tls=crew_py.crew_tls(mode="automatic"))
    controller.start()
    settings = controller.launcher.settings()
    settings["tlscert"] = nngsock.write_cert("127.0.0.1")["client"]
    with pytest.raises(SystemExit) as end:
        crew_py.crew_worker(settings, "controller", seconds_launch=0)
    assert end.value.code == 1
    assert "26 | Cryptographic error" in capfd.readouterr().err


def test_what_is_no_certificate_of_the_key_is_an_error_of_the_start(local, files):
    controller = local(workers=1, tls=crew_py.crew_tls("custom", files[0], None, [files[1]]))
    with pytest.raises(crew_py.crew_error, match=r"cannot encrypt .* `key`, `password` and `certificates`"):
        controller.start()
