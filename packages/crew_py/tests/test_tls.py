import pytest

import crew_py

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
