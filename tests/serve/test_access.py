"""Where a server may listen, and who may use it."""

import pytest

from voxface.runtime.errors import UsageError
from voxface.serve.access import Access, check_exposure, is_loopback, token_subprotocol

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    check_exposure(host, token=None, tls=False, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "10.0.0.1"])
def test_others_need_a_token_and_tls_or_to_be_let_in_on_purpose(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(UsageError, match="--token and --certificate and --key; or --insecure"):
        check_exposure(host, token=None, tls=False, insecure=False)
    with pytest.raises(UsageError, match="give --certificate and --key;"):
        check_exposure(host, token=TOKEN, tls=False, insecure=False)
    with pytest.raises(UsageError, match="give --token;"):
        check_exposure(host, token=None, tls=True, insecure=False)
    check_exposure(host, token=TOKEN, tls=True, insecure=False)
    check_exposure(host, token=None, tls=False, insecure=True)


@pytest.mark.parametrize("token", ["", "short", "ä" * 20, "with\nnew\nlines\nin\nit"])
def test_a_token_that_can_be_guessed_or_not_be_sent(token: str) -> None:
    with pytest.raises(UsageError, match="at least 16 letters"):
        check_exposure("127.0.0.1", token=token, tls=False, insecure=False)


def test_the_name_of_the_server_keeps_rebound_names_away() -> None:
    access = Access()
    for host in ("127.0.0.1:8765", "localhost:8765", "[::1]:8765", "LOCALHOST"):
        assert access.denial({"host": host}) is None
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""):
        assert access.denial({"host": host}) == "host"
    assert Access(host="0.0.0.0").denial({"host": "box.local:8765"}) is None


@pytest.mark.parametrize(
    ("origin", "denied"),
    [
        ("http://127.0.0.1:8765", False),
        ("https://127.0.0.1:8765", False),
        ("https://page.example", False),
        ("http://127.0.0.1:9999", True),
        ("http://evil.example", True),
        ("null", True),
        ("", True),
        ("file://", True),
        ("http://127.0.0.1:8765.evil.example", True),
        ("http://[", True),
    ],
)
def test_pages_of_other_origins(origin: str, denied: bool) -> None:
    access = Access(origins=("https://page.example",))
    found = access.denial({"host": "127.0.0.1:8765", "origin": origin})
    assert found == ("origin" if denied else None)


def test_a_token_in_a_header_or_in_a_subprotocol() -> None:
    access = Access(TOKEN)
    host = {"host": "127.0.0.1:1"}
    assert access.denial(host) == "token"
    assert access.denial(host, public=True) is None
    assert access.denial({**host, "authorization": f"Bearer {TOKEN}"}) is None
    assert access.denial({**host, "authorization": f"bearer  {TOKEN}"}) is None
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", TOKEN, "Bearer ü"):
        assert access.denial({**host, "authorization": wrong}) == "token"
    assert access.denial(host, ["voxface-v1", token_subprotocol(TOKEN)]) is None
    for wrong in ("voxface-token-", "voxface-token-%%%", token_subprotocol(TOKEN + "x"), TOKEN, "voxface-token-ü"):
        assert access.denial(host, ["voxface-v1", wrong]) == "token"
