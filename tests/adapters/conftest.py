"""Registries that the tests of this folder share; each worker has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registries import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registries import Registry


@pytest.fixture(scope="session")
def plain_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry that lets anybody read and write, by http."""
    with registry(tmp_path_factory.mktemp("plain")) as running:
        yield running


@pytest.fixture(scope="session")
def login_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry that wants a name and password."""
    with registry(tmp_path_factory.mktemp("login"), auth="htpasswd") as running:
        yield running


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry that wants tokens."""
    with registry(tmp_path_factory.mktemp("token"), auth="token") as running:
        yield running


@pytest.fixture(scope="session")
def secure_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry by https, with a login, that wants a client's certificate too."""
    folder = tmp_path_factory.mktemp("secure")
    with registry(folder, auth="htpasswd", tls=True, client_certificates=True) as running:
        yield running
