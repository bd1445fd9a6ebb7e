"""The analyser: what is shared between configurations, where outputs stand, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildsys import session
from buildsys.analysis.analyser import Analyser, Inputs
from buildsys.analysis.choices import Wanted
from buildsys.analysis.placing import output_paths
from buildsys.model.label import Label
from tests.loading.workspaces import ROOT, analysed, errors_of, opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from buildsys.model.action import Action


def template(name: str, more: str = "") -> str:
    return f"  - {{rule: template, name: {name}, src: f.j2, out: {name}.txt{', ' if more else ''}{more}}}\n"


def package(*targets: str) -> dict[str, str]:
    return {"context/p/BUILD.yaml": "targets:\n" + "".join(targets), "context/p/f.j2": ""}


def variables(action: Action) -> dict[str, str]:
    return dict(getattr(action.operation, "variables", ()))


def value(root: Path, text: str, params: Mapping[str, str] | None = None) -> str:
    """Return what a text in an attribute is expanded to."""
    found = analysed(root, package(template("x", f"vars: {{v: '{text}'}}")), "//p:x", params=params)
    (action,) = found.analyser.graph.actions
    return variables(action)["v"]


class TestInterpolation:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("plain", "plain"),
            ("{cri}", "docker"),
            ("{cri}-{arch}", "docker-amd64"),
            ("{{cri}}", "{cri}"),
            ("{{{cri}}}", "{docker}"),
            ("a{{b", "a{b"),
            ("a}}b", "a}b"),
            ("{host}", "sea.hub:5000"),
            ("{kubernetes}", "1.28.15"),
            ("{debug}", "false"),
            ("{release.minor}", "1.28"),
            ("", ""),
        ],
    )
    def test_parameters_and_facts_are_put_in(self, tmp_path: Path, text: str, expected: str) -> None:
        assert value(tmp_path, text) == expected

    def test_explicit_values_are_in_their_one_spelling(self, tmp_path: Path) -> None:
        params = {"kubernetes": "v1.24.0", "debug": "yes", "domain": "x"}
        assert value(tmp_path, "{kubernetes} {debug} {host}", params) == "1.24.0 true x:5000"

    @pytest.mark.parametrize(
        ("text", "code"),
        [("{crii}", "B207"), ("{no.such}", "B602"), ("{cri", "B215"), ("cri}", "B215"), ("{}", "B207")],
    )
    def test_what_cannot_be_put_in_is_said_where_it_is(self, tmp_path: Path, text: str, code: str) -> None:
        (error,) = errors_of(lambda: value(tmp_path, text))
        assert error.code == code
        assert error.at is not None
        assert (error.at.path, error.at.line) == ("context/p/BUILD.yaml", 2)

    def test_defaults_that_refer_to_each_other_are_an_error(self, tmp_path: Path) -> None:
        circle = "{a: {default: '{b}'}, b: {default: '{c}'}, c: {default: '{b}'}}"
        text = f"workspace: w\npackages: context\nparameters: {circle}\n"
        files = {**package(template("x", "vars: {v: '{a}'}")), "BUILD.yaml": text}
        (error,) = errors_of(lambda: analysed(tmp_path, files, "//p:x"))
        assert error.code == "B207"
        assert "b -> c -> b" in error.message

    @pytest.mark.parametrize(
        ("name", "given"),
        [("nope", "x"), ("cri", "podman"), ("debug", "perhaps"), ("kubernetes", "one"), ("mirror", "x")],
    )
    def test_a_value_that_cannot_be_is_an_error_of_the_command_line(
        self, tmp_path: Path, name: str, given: str
    ) -> None:
        (error,) = errors_of(lambda: value(tmp_path, "x", {name: given}))
        assert error.exit_code == 2
        assert f"--param={name}={given}" in error.message


MATRIX = package(
    template("plain"),
    template("reads", "params: [cri]"),
    "  - {rule: filegroup, name: 'g-{cri}', srcs: [plain, reads], matrix: {cri: [docker, containerd]}}\n",
)


class TestSharing:
    def test_what_does_not_read_a_parameter_is_shared(self, tmp_path: Path) -> None:
        found = analysed(tmp_path, MATRIX, "//p:all")
        names = [action.outputs[0].name for action in found.analyser.graph.actions]
        assert names.count("plain.txt") == 1
        assert sorted(str(variables(a)) for a in found.analyser.graph.actions if a.outputs[0].name == "reads.txt") == [
            "{'cri': 'containerd'}",
            "{'cri': 'docker'}",
            "{'cri': 'docker'}",
        ]
        one, two = (found.targets[Wanted(Label("p", f"g-{cri}"))] for cri in ("docker", "containerd"))
        assert one.files[0] == two.files[0]
        assert one.files[1] != two.files[1]

    def test_reading_through_a_default_counts(self, tmp_path: Path) -> None:
        files = package(
            template("x", "vars: {v: '{host}'}"),
            "  - {rule: filegroup, name: 'g-{domain}', srcs: [x], matrix: {domain: [a, b]}}\n",
        )
        found = analysed(tmp_path, files, "//p:g-a", "//p:g-b")
        assert sorted(variables(action)["v"] for action in found.analyser.graph.actions) == ["a:5000", "b:5000"]

    def test_reading_in_a_condition_counts(self, tmp_path: Path) -> None:
        files = package(
            template("x", "vars: {select: {'cri=docker': {v: d}, 'cri=containerd': {v: c}}}"),
            "  - {rule: filegroup, name: 'g-{cri}', srcs: [x], matrix: {cri: [docker, containerd]}}\n",
        )
        found = analysed(tmp_path, files, "//p:g-docker", "//p:g-containerd")
        assert sorted(variables(action)["v"] for action in found.analyser.graph.actions) == ["c", "d"]

    def test_what_failed_under_one_configuration_is_tried_under_another(self, tmp_path: Path) -> None:
        files = package(
            template("x", "vars: {select: {'cri=docker': {v: d}}}"),
            "  - {rule: filegroup, name: 'g-{cri}', srcs: [x], matrix: {cri: [containerd, docker]}}\n",
        )
        found = analysed(tmp_path, files, "//p:all", keep_going=True)
        assert {str(label) for label in found.targets} == {"//p:x", "//p:g-docker"}
        assert [error.code for error in found.errors] == ["B217"]

    def test_what_failed_is_not_tried_again_under_a_configuration_that_cannot_matter(self, tmp_path: Path) -> None:
        files = package(
            template("x", "vars: {v: '{nope}'}"),
            "  - {rule: filegroup, name: 'g-{cri}', srcs: [x], matrix: {cri: [containerd, docker]}}\n",
        )
        errors = errors_of(lambda: analysed(tmp_path, files, "//p:all"))
        assert [error.code for error in errors] == ["B207"]

    def test_a_circle_under_one_configuration_is_none_under_another(self, tmp_path: Path) -> None:
        files = package(
            "  - {rule: filegroup, name: a, srcs: {select: {'cri=docker': [':b'], 'cri=containerd': [f.j2]}}}\n",
            "  - {rule: filegroup, name: b, srcs: [':a']}\n",
            "  - {rule: filegroup, name: 'g-{cri}', srcs: [b], matrix: {cri: [containerd]}}\n",
        )
        for first in ("//p:a", "//p:b"):
            found = analysed(tmp_path, files, first, "//p:g-containerd", keep_going=True)
            assert [str(label) for label in found.targets] == ["//p:g-containerd"]
            assert {error.code for error in found.errors} == {"B301"}


def paths(root: Path, files: Mapping[str, str], *patterns: str, **params: str) -> list[str]:
    """Return where the outputs of targets stand."""
    space = opened(root, files)
    config = session.configuration(space, params)
    found = session.analyse(space, session.resolve(space, patterns), config)
    return sorted(output_paths(found.targets.values(), config).values())


class TestPlaces:
    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            ({}, "p/x.txt"),
            ({"cri": "containerd"}, "cri=containerd/p/x.txt"),
            ({"cri": "docker"}, "p/x.txt"),
            ({"arch": "arm64"}, "p/x.txt"),
            ({"cri": "containerd", "kubernetes": "v1.24.0"}, "cri=containerd,kubernetes=1.24.0/p/x.txt"),
            ({"kubernetes": "v1.28.15"}, "p/x.txt"),
            ({"domain": "a/b"}, "domain=a%2Fb/p/x.txt"),
            ({"mirror": "https://x/y"}, "p/x.txt"),
        ],
    )
    def test_parameters_that_were_read_name_the_folder(
        self, tmp_path: Path, params: dict[str, str], expected: str
    ) -> None:
        files = package(template("x", "params: [cri, kubernetes, domain, mirror]"))
        assert paths(tmp_path, files, "//p:x", **params) == [expected]

    def test_a_place_tells_of_what_was_read_and_nothing_else(self, tmp_path: Path) -> None:
        files = package(template("x", "params: [host]"))
        assert paths(tmp_path, files, "//p:x", host="sea.hub:5000") == ["p/x.txt"]
        assert paths(tmp_path, files, "//p:x", domain="a") == ["domain=a/p/x.txt"]
        assert paths(tmp_path, files, "//p:x", domain="a", host="a:5000") == ["host=a:5000/p/x.txt"]
        assert paths(tmp_path, files, "//p:x", domain="a", host="sea.hub:5000") == ["p/x.txt"]

    def test_a_folder_whose_name_would_be_too_long_ends_in_a_digest(self, tmp_path: Path) -> None:
        files = package(template("x", "params: [domain]"))
        longest = "ä" * 123 + "b" * (255 - len("domain=") - 2 * 123)
        assert paths(tmp_path, files, "//p:x", domain=longest) == [f"domain={longest}/p/x.txt"]
        found = [paths(tmp_path, files, "//p:x", domain=longest + end) for end in ("a", "b")]
        folders = [path.removesuffix("/p/x.txt") for (path,) in found]
        assert all(len(folder.encode()) <= 255 and folder.startswith("domain=ääää") for folder in folders)
        assert folders[0] != folders[1]
        assert found[0] == paths(tmp_path, files, "//p:x", domain=longest + "a")

    def test_the_rows_of_a_matrix_have_their_names_and_no_folder(self, tmp_path: Path) -> None:
        files = package(
            "  - {rule: template, name: 'x-{cri}', src: f.j2, out: 'x-{cri}.txt', params: [cri],"
            " matrix: {cri: [docker, containerd]}}\n"
        )
        assert paths(tmp_path, files, "//p:all") == ["p/x-containerd.txt", "p/x-docker.txt"]
        assert paths(tmp_path, files, "//p:all", cri="containerd") == ["p/x-containerd.txt", "p/x-docker.txt"]

    def test_one_target_under_two_configurations_has_two_places(self, tmp_path: Path) -> None:
        assert paths(tmp_path, MATRIX, "//p:g-docker", "//p:g-containerd") == [
            "cri=containerd/p/reads.txt",
            "p/plain.txt",
            "p/reads.txt",
        ]

    def test_one_target_by_default_and_by_a_row_that_says_the_same_has_one_place(self, tmp_path: Path) -> None:
        assert set(paths(tmp_path, MATRIX, "//p:all")) == {
            "cri=containerd/p/reads.txt",
            "p/plain.txt",
            "p/reads.txt",
        }

    def test_an_alias_has_the_place_of_what_it_means(self, tmp_path: Path) -> None:
        files = package(
            template("x", "params: [cri]"),
            "  - {rule: alias, name: 'x-{cri}', actual: x, matrix: {cri: [docker, containerd]}}\n",
        )
        assert paths(tmp_path, files, "//p:x-docker", "//p:x-containerd") == ["cri=containerd/p/x.txt", "p/x.txt"]
        assert paths(tmp_path, files, "//p:x", cri="containerd") == ["cri=containerd/p/x.txt"]

    def test_source_files_stand_where_they_are(self, tmp_path: Path) -> None:
        assert paths(tmp_path, package("  - {rule: filegroup, name: x, srcs: [f.j2]}\n"), "//p:x") == ["p/f.j2"]

    def test_two_different_files_at_one_place_are_an_error(self, tmp_path: Path) -> None:
        files = package(template("x"), "  - {rule: template, name: y, src: f.j2, out: x.txt, vars: {a: b}}\n")
        (error,) = errors_of(lambda: paths(tmp_path, files, "//p:all"))
        assert error.code == "B228"
        assert "'//p:y' and '//p:x' both have an output 'p/x.txt'" in error.message

    def test_values_that_name_no_folder_cannot_be_built_together(self, tmp_path: Path) -> None:
        files = package(
            template("x", "params: [mirror]"),
            "  - {rule: filegroup, name: one, srcs: [x], matrix: {mirror: ['https://one']}}\n",
            "  - {rule: filegroup, name: two, srcs: [x], matrix: {mirror: ['https://two']}}\n",
        )
        (error,) = errors_of(lambda: paths(tmp_path, files, "//p:one", "//p:two"))
        assert error.code == "B228"


class TestRefusals:
    def test_a_circle_is_shown_whole(self, tmp_path: Path) -> None:
        targets = [f"  - {{rule: filegroup, name: {a}, srcs: [':{b}']}}\n" for a, b in ("ab", "bc", "cd", "db")]
        (error,) = errors_of(lambda: analysed(tmp_path, package(*targets), "//p:a"))
        assert error.code == "B301"
        assert error.message.endswith("cycle in dependency graph:\n.-> //p:b\n|   //p:c\n|   //p:d\n`-- //p:b")

    def test_a_target_that_needs_itself(self, tmp_path: Path) -> None:
        (error,) = errors_of(
            lambda: analysed(tmp_path, package("  - {rule: filegroup, name: a, srcs: [':a']}\n"), "//p:a")
        )
        assert error.message.endswith(".-> //p:a\n`-- //p:a")

    def test_a_constraint_is_checked_where_all_its_parameters_are_read(self, tmp_path: Path) -> None:
        text = ROOT + (
            "constraints:\n  - {forbid: 'cri=docker,kubernetes>=1.24', reason: it is gone, instead: containerd}\n"
        )
        files = {
            **package(template("both", "params: [cri, kubernetes]"), template("one", "params: [cri]")),
            "BUILD.yaml": text,
        }
        assert analysed(tmp_path, files, "//p:one").targets
        assert analysed(tmp_path, files, "//p:both", params={"cri": "containerd"}).targets
        assert analysed(tmp_path, files, "//p:both", params={"kubernetes": "1.23.0"}).targets
        (error,) = errors_of(lambda: analysed(tmp_path, files, "//p:both"))
        assert (error.code, error.hint) == ("B216", "containerd")
        assert "it is gone" in error.message

    @pytest.mark.parametrize(
        ("visibility", "visible"),
        [
            ("[]", True),
            ("['//visibility:public']", True),
            ("['//visibility:private']", False),
            ("['//q:__pkg__']", True),
            ("['//q:__subpackages__']", True),
            ("['//:__subpackages__']", True),
            ("['//other:__pkg__']", False),
            ("['//qq:__subpackages__']", False),
            ("['//other:__pkg__', '//q:__pkg__']", True),
        ],
    )
    def test_visibility(self, tmp_path: Path, visibility: str, visible: bool) -> None:
        files = {
            "context/p/BUILD.yaml": f"targets: [{{rule: filegroup, name: x, visibility: {visibility}}}]",
            "context/q/BUILD.yaml": "targets: [{rule: filegroup, name: y, srcs: ['//p:x']}]",
        }
        if visible:
            assert analysed(tmp_path, files, "//q:y").targets
            return
        (error,) = errors_of(lambda: analysed(tmp_path, files, "//q:y"))
        assert error.code == "B222"
        assert "target '//p:x' is not visible from target '//q:y'" in error.message

    @pytest.mark.parametrize(("package_name", "visible"), [("q/r", True), ("q", True), ("qr", False)])
    def test_visibility_of_packages_below(self, tmp_path: Path, package_name: str, visible: bool) -> None:
        files = {
            "context/p/BUILD.yaml": "targets: [{rule: filegroup, name: x, visibility: ['//q:__subpackages__']}]",
            f"context/{package_name}/BUILD.yaml": "targets: [{rule: filegroup, name: y, srcs: ['//p:x']}]",
        }
        found = analysed(tmp_path, files, "//p:x", f"//{package_name}:y", keep_going=True)
        assert (len(found.targets) == 2) is visible

    def test_all_that_is_wrong_is_said(self, tmp_path: Path) -> None:
        files = package(
            template("a", "vars: {v: '{x}'}"), template("b", "out: ../b"), template("c", "vars: {v: '{z.z}'}")
        )
        files["context/p/BUILD.yaml"] = files["context/p/BUILD.yaml"].replace("out: b.txt, ", "")
        codes = [error.code for error in errors_of(lambda: analysed(tmp_path, files, "//p:all"))]
        assert codes == ["B207", "B221", "B602"]

    def test_a_mandatory_attribute_needs_a_value_in_every_configuration(self, tmp_path: Path) -> None:
        files = package(
            "  - {rule: template, name: x, out: x, src: {select: {'cri=docker': ~, 'cri=containerd': f.j2}}}\n"
        )
        (error,) = errors_of(lambda: analysed(tmp_path, files, "//p:x"))
        assert error.code == "B202"
        assert analysed(tmp_path, files, "//p:x", params={"cri": "containerd"}).targets

    def test_with_keep_going_the_rest_is_analysed(self, tmp_path: Path) -> None:
        files = package(template("bad", "vars: {v: '{nope}'}"), template("good"))
        found = analysed(tmp_path, files, "//p:all", keep_going=True)
        assert [str(label) for label in found.targets] == ["//p:good"]
        assert [error.code for error in found.errors] == ["B207"]

    def test_with_keep_going_labels_that_lead_nowhere_are_still_said(self, tmp_path: Path) -> None:
        files = package("  - {rule: filegroup, name: bad, srcs: [none.txt]}\n", template("good"))
        found = analysed(tmp_path, files, "//p:all", keep_going=True)
        assert [error.code for error in found.errors] == ["B208"]


def test_long_chains_need_no_deep_stack(tmp_path: Path) -> None:
    from buildsys.adapters.yaml import compose
    from buildsys.errors import Location
    from buildsys.model.target import Package, Target

    space = opened(tmp_path)
    count, at = 20_000, Location("f", 1)
    node = compose("[]", "f")
    assert node is not None
    targets = {}
    for number in range(count):
        srcs = compose(f"[':t{number + 1}']", "f") if number + 1 < count else node
        assert srcs is not None
        label = Label("p", f"t{number}")
        targets[label.name] = Target(label=label, rule="filegroup", at=at, attributes={"srcs": srcs})
    loaded = {"p": Package(name="p", folder="p", build_file="p/BUILD.yaml", targets=targets)}
    analyser = Analyser(Inputs(space.workspace, loaded, space.rules, space.tables, space.pins, lambda _: False))
    assert analyser.analyse(Label("p", "t0"), session.configuration(space, {})) is not None
    assert analyser.errors == []
    assert len(analyser.targets) == count
