#!/usr/bin/env bash
# calico.sh: install Calico on a running cluster, from the registry that the cluster takes its own images from.
# The manifests beside it name images as their makers do, because the deploy tool collects images by these names at
# build time. No mirror of docker reaches beyond docker.io, and operators differ in the registry they presume, so the
# names are completed here. Can be run again at any time.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
  printf 'calico.sh: error: %s\n' "$*" >&2
  exit 1
}

for file in tigera-operator.yaml custom-resources.yaml; do
  [[ -f $HERE/$file ]] || die "missing beside this script: $file"
done
command -v kubectl >/dev/null || die "kubectl is not on this host; run this script on a control-plane host"
configuration=$(kubectl -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}') ||
  die "the cluster does not answer, or kubeadm did not set it up"
repository=$(sed -n -E 's/^imageRepository: *"?([^" ]+)"?$/\1/p' <<<"$configuration")
[[ $repository =~ ^[A-Za-z0-9._:/-]+$ ]] || die "the kubeadm configuration of the cluster names no imageRepository"

operator=$(sed -E "s#^( *image: )quay\.io/#\1$repository/#" "$HERE/tigera-operator.yaml")
resources=$(sed -E "s#^( *)variant: Calico\$#&\n\1registry: $repository/#" "$HERE/custom-resources.yaml")
kubectl apply -f - <<<"$operator"
kubectl wait --for=condition=Established --timeout=60s \
  crd/installations.operator.tigera.io crd/apiservers.operator.tigera.io
kubectl apply -f - <<<"$resources"
