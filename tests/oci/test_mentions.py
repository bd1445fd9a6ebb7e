"""Finding image references: each kind of file, each way to name one, and what only looks like one."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildsys.oci import mentions
from buildsys.oci.mention import Mention
from buildsys.oci.mention_lines import rendered
from buildsys.oci.mentions import decode, encode, kind_of, scan, scan_lines
from buildsys.oci.reference import Reference

HEX = "0123456789abcdef" * 4


def found(path: str, text: str) -> list[tuple[int, str]]:
    """Return the lines and texts of what a file mentions; every place is checked against the text."""
    text = textwrap.dedent(text).removeprefix("\n")
    result = scan(kind_of(path), text)
    lines = text.split("\n")
    for mention in result.mentions:
        assert mention.excerpt in lines[mention.line - 1]
        if mention.text in lines[mention.line - 1]:
            assert lines[mention.line - 1][mention.column - 1 :].startswith(mention.text)
    assert decode(encode(result)) == result
    return [(mention.line, mention.text) for mention in result.mentions]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("etc/kubeadm.yml", "yaml"),
        ("etc/kubeadm.yml.tmpl", "yaml+template"),
        ("charts/a/templates/pod.yaml", "yaml+template"),
        ("charts/a/values.yaml", "yaml"),
        ("etc/Clusterfile", "yaml"),
        ("etc/dump-config.toml", "toml"),
        ("imageList", "list"),
        ("manifests/imageList", "list"),
        ("manifests/image-list.txt", "list"),
        ("scripts/init.sh", "shell"),
        ("etc/a.service", "shell"),
        ("etc/rootfs.env", "shell"),
        ("etc/10-kubeadm.conf", "any"),
        ("bin/tool", "any"),
        ("README.md", "prose"),
        ("Kubefile", "prose"),
    ],
)
def test_the_kind_of_a_file(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_yaml_of_any_depth() -> None:
    text = """
        kind: Deployment
        spec: {template: {spec: {initContainers: [{image: "a/init:1"}],
          containers: [{name: x, image: nginx}]}}}
        ---
        kind: List
        items:
          - spec:
              containers:
                - image: &shared 'quay.io/b/c:2'
                - image: *shared
                - image: !!str d@sha256:HEX
        """.replace("HEX", HEX)
    expected = [(2, "a/init:1"), (3, "nginx"), (9, "quay.io/b/c:2"), (10, "quay.io/b/c:2"), (11, f"d@sha256:{HEX}")]
    assert found("x.yaml", text) == expected


def test_helm_values_kustomize_and_operators() -> None:
    text = """
        controller:
          image: {registry: quay.io, repository: jetstack/controller, tag: v1.10}
          image2: {repository: a/b, tag: "", digest: "sha256:HEX"}
        untagged: {repository: c/d}
        chart: {repository: "https://charts.example.com", tag: x}
        old: {image: e/f, imageTag: 1.20}
        images:
          - g/h:3
          - name: nginx
            newName: i/nginx
            newTag: "4"
        env:
          - {name: RELATED_IMAGE_X, value: "k/l:5"}
          - {name: IMAGE_COUNT, value: "6"}
        args: ["--solver-image=m/n:7", "--listen=:80"]
        """.replace("HEX", HEX)
    assert found("values.yaml", text) == [
        (2, "quay.io/jetstack/controller:v1.10"),
        (3, f"a/b@sha256:{HEX}"),
        (6, "e/f:1.20"),
        (8, "g/h:3"),
        (10, "i/nginx:4"),
        (13, "k/l:5"),
        (15, "m/n:7"),
    ]


def test_texts_within_texts() -> None:
    text = """
        kind: ConfigMap
        data:
          description: "image: not/this:1"
          inner.yaml: |
            # a comment
            spec:
              more: |
                image: a/b:1
          inner.json: '{"image": "c/d:2"}'
          start: |
            #!/bin/sh
            docker run --rm e/f:3
          folded: >-
            image:
            g/h:4
        command: [sh, -c, "crictl pull i/j:5"]
        """
    expected = [(8, "a/b:1"), (9, "c/d:2"), (12, "e/f:3"), (15, "g/h:4"), (16, "i/j:5")]
    assert found("x.yml", text) == expected


def test_json_with_tabs() -> None:
    assert found("x.json", '{\n\t"image": "a/b:1",\n\t"x": [{"image": "c"}]\n}\n') == [(2, "a/b:1"), (3, "c")]


def test_yaml_that_breaks_off_is_read_by_lines_from_there() -> None:
    text = "image: a/b:1\n---\nx: {{ if }}\n  - image: c/d:2\n  image: {{ .Values.x }}\n"
    assert found("x.yaml", text) == [(1, "a/b:1"), (4, "c/d:2")]


def test_what_is_no_image() -> None:
    text = """
        apiVersion: sealer.cloud/v2
        kind: Cluster
        spec: {image: "kubernetes:v1.23.17"}
        ---
        schema: {properties: {image: {type: string, default: ""}}}
        sourceImage: yes
        image: https://example.com/disk.img
        someImage: word
        # image: nginx
        """
    assert found("etc/Clusterfile", text) == []


def test_a_go_template_is_read_as_it_is_when_nothing_is_set() -> None:
    text = """
        {{- /* image:
          nothing */ -}}
        {{ if .X }}
        image: {{or .RegistryURL "sea.hub:5000"}}/pause:3.6
        {{ else }}
        image: {{ .Registry | default "quay.io" }}/a/{{ default "b" .Name }}:1
        {{ end }}
        other: {image: "{{ .Values.image }}:{{ .Values.tag }}"}
        """
    expected = [(4, "sea.hub:5000/pause:3.6"), (6, "quay.io/a/b:1")]
    assert found("etc/x.yaml.tmpl", text) == expected


def test_rendering_keeps_the_lines() -> None:
    assert rendered('a {{"{{"}} b {{ c }} {{ d') == "a {{ b \ufffc {{ d"
    assert rendered("{{ if x }}\n{{- /* y\n\n */}}z").count("\n") == 3


def test_kubeadm_and_the_operator_of_calico_say_where_images_are() -> None:
    text = textwrap.dedent(
        """
        apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        kubernetesVersion: v1.31.0
        dns: {imageRepository: r/coredns, imageTag: v9}
        proxy: {disabled: true}
        etcd: {external: {endpoints: []}}
        ---
        apiVersion: operator.tigera.io/v1
        kind: Installation
        spec:
          registry: sea.hub:5000/
          imagePath: mirror
        """
    )
    kubeadm, calico = scan("yaml", text).configurations
    assert [(key, mention.text, mention.line) for key, mention in kubeadm.said] == [
        ("kubernetesVersion", "v1.31.0", 4),
        ("dns.imageRepository", "r/coredns", 5),
        ("dns.imageTag", "v9", 5),
    ]
    assert kubeadm.without == ("kube-proxy", "etcd")
    assert (calico.kind.text, calico.kind.line) == ("Installation", 10)
    assert [(key, mention.text) for key, mention in calico.said] == [
        ("registry", "sea.hub:5000/"),
        ("imagePath", "mirror"),
    ]
    assert decode(encode(scan("yaml", text))) == scan("yaml", text)


def test_toml_of_containerd() -> None:
    text = """
        [plugins."io.containerd.grpc.v1.cri"]
        # sandbox_image = "not/this:1"
        sandbox_image = "sea.hub:5000/pause:3.6"  # comment
        [plugins.'io.containerd.cri.v1.images'.pinned_images]
        sandbox = 'sea.hub:5000/pause:3.10'
        [other]
        sandbox = "x:1"
        pinned_images = { sandbox = "a/pause:1" }
        """
    expected = [(3, "sea.hub:5000/pause:3.6"), (5, "sea.hub:5000/pause:3.10"), (8, "a/pause:1")]
    assert found("etc/config.toml", text) == expected


def test_lists() -> None:
    text = f"# images\n\n'a/b:1'  # why\nc@sha256:{HEX}\n  \"nginx\"\nhttp://x/y\n"
    assert found("imageList", text) == [(3, "a/b:1"), (4, f"c@sha256:{HEX}"), (5, "nginx")]


def test_commands_that_pull() -> None:
    text = """
        docker run -d --name x -v /a:/b -p80:80 --net=host -e A=B a/one:1 serve --image=zero
        sudo podman pull -q a/two
        if ! /usr/bin/nerdctl -n k8s.io run --rm -it a/three:3; then exit 1; fi
        ctr -n k8s.io images pull --platform linux/amd64 docker.io/a/four:4
        ctr run --rm docker.io/a/five:5 name cmd && crictl pull a/six:6
        docker \\
          run \\
          a/seven:7
        docker image pull a/eight; docker inspect a/nine:9; docker build -t a/ten:10 .
        echo docker run a/eleven
        # docker run a/twelve
        kubectl run x --image=a/thirteen:13
        """
    assert found("x.sh", text) == [
        (1, "a/one:1"),
        (2, "a/two"),
        (3, "a/three:3"),
        (4, "docker.io/a/four:4"),
        (5, "docker.io/a/five:5"),
        (5, "a/six:6"),
        (8, "a/seven:7"),
        (9, "a/eight"),
        (12, "a/thirteen:13"),
    ]


def test_variables_of_a_script() -> None:
    text = """
        REGISTRY=sea.hub:5000 TAG='1.2'
        readonly BASE_IMAGE="$REGISTRY/a:${TAG}" COUNT_IMAGES=3
        docker run "$BASE_IMAGE"
        docker run "${REGISTRY}/b:${VERSION:-7}"
        docker run "$REGISTRY/c:$1"
        docker run $OPTIONS word d/e:3
        docker run "${args[@]}" f/g:4
        docker run "$IMAGE" h/i:5
        images=(j:1
          "k:2" $X)
        for image in l:3 "$Y"; do ctr i pull "$image"; done
        read -r TAG
        docker pull m:$TAG
        cat <<EOF
          image: n/o:6
          image: $REGISTRY/p
        EOF
        """
    assert found("x.sh", text) == [
        (2, "sea.hub:5000/a:1.2"),
        (4, "sea.hub:5000/b:7"),
        (7, "f/g:4"),
        (9, "j:1"),
        (10, "k:2"),
        (11, "l:3"),
        (15, "n/o:6"),
    ]


def test_systemd_units() -> None:
    text = """
        [Service]
        Environment="IMAGE=a/b:1" "X=y"
        Environment=TAG=2
        ExecStartPre=-/usr/bin/docker pull c/d:${TAG}
        ExecStart=/usr/bin/docker run --name %n \\
          e/f:3
        ExecStart=/usr/bin/cri-dockerd --pod-infra-container-image=sea.hub:5000/pause:3.9
        ExecStop=/usr/bin/docker run g:%i
        """
    expected = [(2, "a/b:1"), (4, "c/d:2"), (6, "e/f:3"), (7, "sea.hub:5000/pause:3.9")]
    assert found("etc/x.service", text) == expected
    assert found("etc/drop-in.conf", text) == expected


def test_a_file_without_a_name_that_tells_is_told_by_its_beginning() -> None:
    assert found("bin/x", "#!/bin/bash\ndocker run a:1\n") == [(2, "a:1")]
    assert found("bin/x", "#!/usr/bin/env python3\nimage = 'a:1'\n") == [(2, "a:1")]
    assert found("x", "# c\napiVersion: v1\nspec: {image: b}\n") == [(3, "b")]
    assert found("x", "pod.image = a/b:1\nimage: nginx\nimagepath: x\n") == [(1, "a/b:1"), (2, "nginx")]
    assert found("README.md", "image: nginx\n") == []


def test_large_texts_are_read_line_by_line() -> None:
    (mention,) = scan_lines(["x", "  image: a/b:1"]).mentions
    assert mention == Mention("a/b:1", 2, 10, 0, "a/b:1")


# --- properties -------------------------------------------------------------------------------------------------------

WORDS = st.text("abcxyz", min_size=1, max_size=6)
REFERENCES = st.builds(
    lambda host, path, tag: f"{host}{path}:{tag}",
    st.sampled_from(["", "quay.io/", "sea.hub:5000/", "localhost/"]),
    st.lists(WORDS, min_size=1, max_size=3).map("/".join),
    st.from_regex(r"[0-9a-z][0-9a-z._-]{0,8}", fullmatch=True),
)
KEYS = WORDS.map(lambda word: f"k{word}")
LEAVES = st.one_of(
    st.builds(lambda reference: {"image": f"planted/{reference.rpartition('/')[2]}"}, REFERENCES),
    st.builds(lambda word: {"name": word}, WORDS),
    st.integers(),
    st.none(),
    WORDS,
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.builds(
            lambda value: {"kdata": json.dumps(value, indent=1) + "\n"}, inner.filter(lambda v: isinstance(v, dict))
        ),
    ),
    max_leaves=12,
)


def planted(value: Any) -> list[str]:
    """Return the references in a value, those in texts within it too."""
    if isinstance(value, dict):
        own = [value["image"]] if "image" in value else []
        return own + [one for key, inner in value.items() if key != "image" for one in planted(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in planted(inner)]
    if isinstance(value, str) and value.startswith("{"):
        return planted(json.loads(value))
    return []


def depth(value: Any) -> int:
    """Return how many texts within texts a value has."""
    if isinstance(value, dict):
        return max((depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return max((depth(inner) for inner in value), default=0)
    return 1 + depth(json.loads(value)) if isinstance(value, str) and value.startswith("{") else 0


@given(TREES.filter(lambda value: depth(value) <= 3), st.booleans())
@settings(max_examples=200)
def test_every_planted_reference_is_found_in_its_line(tree: Any, flow: bool) -> None:
    from buildsys.adapters.yaml import dump

    text = json.dumps({"root": tree}, indent=2) if flow else dump({"root": tree})
    result = scan("yaml", text)
    lines = text.split("\n")
    for mention in result.mentions:
        assert mention.text in lines[mention.line - 1]
    expected = planted(tree)
    assert {mention.text for mention in result.mentions} == set(expected)
    if not flow and depth(tree) <= 1:
        assert sorted(mention.text for mention in result.mentions) == sorted(expected)


@given(st.lists(REFERENCES, min_size=1, max_size=6))
def test_a_list_gives_all_its_lines(references: list[str]) -> None:
    result = scan("list", "".join(f"{reference}\n" for reference in references))
    assert [(mention.line, mention.text) for mention in result.mentions] == list(enumerate(references, 1))


NOISE = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "image: ",
                "docker run ",
                "{{",
                "}}",
                "${",
                "$(",
                "'",
                '"',
                "\\\n",
                "\n",
                "<<EOF",
                "ctr i pull ",
                "- ",
                "a/b:1",
            ]
        ),
    ),
    max_size=30,
).map("".join)


@given(
    NOISE, st.sampled_from(["yaml", "yaml+template", "shell", "toml", "list", "loose", "any", "any+template", "prose"])
)
@settings(max_examples=300)
def test_random_text_never_crashes_and_only_references_are_found(text: str, kind: str) -> None:
    for mention in scan(kind, text).mentions:
        assert Reference.parse(mention.text)
        assert 1 <= mention.line <= text.count("\n") + 1
        assert mention.column >= 1


@pytest.mark.parametrize("piece", ["{{", "${", "$(", "-", "--", "'", '"', " ", "\t", "image:", "(", "{{/*", "[", "a: "])
@pytest.mark.parametrize("kind", ["yaml+template", "shell", "loose", "toml"])
def test_hostile_texts_take_no_time(piece: str, kind: str) -> None:
    scan(kind, piece * (20_000 // len(piece)))


def test_what_is_not_a_record_of_mentions_is_refused() -> None:
    for data in (b"", b"1", b"[]", b"[[1],[]]", b"[[[]],[]]"):
        with pytest.raises(ValueError, match=r"."):
            decode(data)
    assert mentions.SCANNER
