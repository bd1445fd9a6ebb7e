"""Canonical image JSON."""

from __future__ import annotations

import json

from buildsys.model.digest import digest_bytes
from buildsys.oci import image

CONFIG = image.config_json(
    "arm64", ["0" * 64, "1" * 64], epoch=1_600_000_000, entrypoint=("/x",), labels={"b": "2", "a": "1"}
)


def test_a_config_is_one_spelling_of_one_value() -> None:
    zeros, ones = "0" * 64, "1" * 64
    step = '{"created":"2020-09-13T12:26:40Z","created_by":"buildsys"}'
    assert CONFIG.decode() == (
        '{"architecture":"arm64","config":{"Entrypoint":["/x"],"Labels":{"a":"1","b":"2"}},"created":"2020-09-13T12:26:40Z",'
        f'"history":[{step},{step}],"os":"linux",'
        f'"rootfs":{{"diff_ids":["sha256:{zeros}","sha256:{ones}"],"type":"layers"}}}}'
    )


def test_a_manifest_describes_config_and_layers() -> None:
    config, layer = image.describe(CONFIG, image.CONFIG), image.Descriptor(image.LAYER_GZIP, "2" * 64, 7)
    assert json.loads(image.manifest_json(config, [layer], {"k": "v"})) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": "sha256:" + digest_bytes(CONFIG),
            "size": len(CONFIG),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + "2" * 64, "size": 7}
        ],
        "annotations": {"k": "v"},
    }
    assert "annotations" not in json.loads(image.manifest_json(config, [layer]))


def test_an_index_tells_platforms() -> None:
    child = image.Descriptor(image.MANIFEST, "3" * 64, 9, "arm64", (("a", "b"),))
    assert json.loads(image.index_json([child], {"k": "v"})) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": "sha256:" + "3" * 64,
                "size": 9,
                "platform": {"architecture": "arm64", "os": "linux"},
                "annotations": {"a": "b"},
            }
        ],
        "annotations": {"k": "v"},
    }
