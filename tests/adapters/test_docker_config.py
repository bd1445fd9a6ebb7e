"""Logins: which file, which key, which helper; helpers are real programs on PATH."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from buildsys.adapters.docker_config import Logins, default_auth_files
from buildsys.adapters.registry_fault import RegistryFault

if TYPE_CHECKING:
    from pathlib import Path

    from buildsys.adapters.docker_config import Login


def encoded(login: str) -> dict[str, str]:
    return {"auth": base64.b64encode(login.encode()).decode()}


def write(path: Path, **content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def found(files: list[str], host: str, repository: str = "") -> Login:
    login = Logins(files).find(host, repository).login
    assert login is not None
    return login


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the first on PATH, with a helper `test` that knows two registries."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    add_helper(
        folder,
        "test",
        f"""
        case $server in
          quay.io) echo '{{"ServerURL":"quay.io","Username":"helped","Secret":"a:b"}}';;
          https://index.docker.io/v1/) echo '{{"Username":"<token>","Secret":"refresh"}}';;
          broken.test) echo 'vault is locked'; exit 1;;
          talks.test) echo 'hello';;
          *) echo 'credentials not found in native keychain'; exit 1;;
        esac; echo "$1 $server" >> {tmp_path}/asked""",
    )
    return folder


def add_helper(folder: Path, name: str, code: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\nserver=$(cat)\n{code}\n")
    program.chmod(0o755)


def test_files_in_their_order() -> None:
    assert default_auth_files({"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/7"}) == (
        "/run/user/7/containers/auth.json",
        "/h/.config/containers/auth.json",
        "/h/.docker/config.json",
    )
    assert default_auth_files(
        {"HOME": "/h", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c", "DOCKER_CONFIG": "/d"}
    ) == (
        "/r/containers/auth.json",
        "/c/containers/auth.json",
        "/d/config.json",
    )
    assert default_auth_files({"HOME": "/h"})[0].startswith("/run/containers/")
    assert default_auth_files({"HOME": "/h", "REGISTRY_AUTH_FILE": "/a"}) == ("/a",)
    assert default_auth_files({"HOME": "/h", "REGISTRY_AUTH_FILE": "/a"}, "/b") == ("/b",)


def test_the_first_file_with_a_login_counts(tmp_path: Path) -> None:
    first = write(tmp_path / "1", auths={"other.test": encoded("o:o"), "quay.io": {}})
    second = write(tmp_path / "2", auths={"quay.io": encoded("bob:pass:word")})
    third = write(tmp_path / "3", auths={"quay.io": encoded("eve:x")})
    login = found([str(tmp_path / "none"), first, second, third], "quay.io", "a/b")
    assert (login.source, login.user, login.password) == (second, "bob", "pass:word")
    assert login.basic == "Basic Ym9iOnBhc3M6d29yZA=="
    assert "pass:word" not in f"{login} {login!r}"
    assert Logins([first]).find("quay.io") == (None, ())


def test_the_most_special_key_counts(tmp_path: Path) -> None:
    auths = {name: encoded(f"{number}:x") for number, name in enumerate(["q.io", "q.io/team", "q.io/team/app"])}
    path = write(tmp_path / "auth", auths=auths)
    for repository, user in (("team/app", "2"), ("team/other", "1"), ("team2/app", "0"), ("", "0")):
        assert found([path], "q.io", repository).user == user
    only_team = write(tmp_path / "team", auths={"q.io/team": encoded("1:x")})
    assert Logins([only_team]).find("q.io", "another").login is None


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://quay.io", "quay.io"),
        ("https://quay.io/v1/", "quay.io"),
        ("quay.io/v2/", "quay.io"),
        ("http://localhost:5000", "localhost:5000"),
    ],
)
def test_keys_that_are_addresses(tmp_path: Path, key: str, host: str) -> None:
    path = write(tmp_path / "auth", auths={key: encoded("bob:x")})
    assert found([path], host, "library/nginx").user == "bob"
    assert Logins([path]).find("another.test").login is None


def test_other_forms_of_a_login(tmp_path: Path) -> None:
    auths = {
        "identity.test": {**encoded("ignored:"), "identitytoken": "refresh"},
        "bearer.test": {"registrytoken": "bearer"},
        "plain.test": {"username": "bob", "password": "word"},
        "nul.test": encoded("bob:word\0\0"),
        "empty.test": {"auth": ""},
    }
    path = write(tmp_path / "auth", auths=auths)
    assert found([path], "identity.test").identity_token == "refresh"
    assert found([path], "bearer.test").registry_token == "bearer"
    assert found([path], "plain.test").basic == found([path], "nul.test").basic == "Basic Ym9iOndvcmQ="
    assert Logins([path]).find("empty.test").login is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"auths": {"quay.io": {"auth": "!"}}}', "the login of 'quay.io' is malformed"),
        ('{"auths": {"quay.io": {"auth": "Ym9i"}}}', "the login of 'quay.io' is malformed"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "auth").write_text(text)
    with pytest.raises(RegistryFault, match=reason) as caught:
        Logins([str(tmp_path / "auth")]).find("quay.io")
    assert caught.value.kind == "login"
    assert str(tmp_path / "auth") in caught.value.message


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryFault, match="none cannot be read: No such file or directory"):
        Logins([str(tmp_path / "none")], must_exist=True).find("quay.io")


def test_a_helper_comes_before_what_the_file_has(tmp_path: Path, helper: Path) -> None:
    auths = {host: encoded("file:x") for host in ("quay.io", "https://index.docker.io/v1/", "third.test")}
    path = write(tmp_path / "config.json", auths=auths, credsStore="test")
    logins = Logins([path])
    login = logins.find("quay.io").login
    assert login is not None
    assert (login.user, login.password) == ("helped", "a:b")
    assert login.source == f"docker-credential-test (named in {path})"
    assert logins.find("quay.io").login == login
    assert found([path], "docker.io", "library/nginx").identity_token == "refresh"
    assert found([path], "third.test").user == "file"
    assert (tmp_path / "asked").read_text().splitlines() == ["get quay.io", "get https://index.docker.io/v1/"]


def test_a_helper_for_one_registry_comes_before_the_store_for_all(tmp_path: Path, helper: Path) -> None:
    add_helper(helper, "all", """echo '{"Username":"all","Secret":"x"}'""")
    path = write(tmp_path / "config.json", credsStore="all", credHelpers={"quay.io": "test", "none.test": ""})
    assert found([path], "quay.io").user == "helped"
    assert found([path], "another.test").user == "all"
    assert Logins([path]).find("none.test").login is None


@pytest.mark.parametrize(
    ("host", "name", "reason"),
    [
        ("broken.test", "test", "failed: vault is locked"),
        ("talks.test", "test", "has not answered with a login"),
        ("quay.io", "absent", "cannot be run: No such file or directory"),
        ("quay.io", "../evil", "names a malformed credential helper, '../evil'"),
    ],
)
def test_a_helper_that_fails_is_remarked(tmp_path: Path, helper: Path, host: str, name: str, reason: str) -> None:
    path = write(tmp_path / "config.json", credHelpers={host: name})
    login, remarks = Logins([path]).find(host)
    assert login is None
    assert len(remarks) == 1
    assert reason in remarks[0]
    assert path in remarks[0]
