#!/usr/bin/env bash
# init.sh [DATA-ROOT [DOMAIN [PORT]]]: containerd and kubelet on one host (deploy tool 0.8).
# The tool gives docker's data root whatever the runtime is, so the first argument does not count here.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"

read_facts
resolve_registry "${2:-}" "${3:-}"
RegistryURL=$ENDPOINT init_host containerd

# That tool copies the CA of the registry to docker's folder only; containerd is shown the way there.
ca=certs.d/$ENDPOINT/$DOMAIN.crt
if [[ ! -e $ROOT/etc/containerd/$ca && ! -L $ROOT/etc/containerd/$ca ]]; then
  own containerd "/etc/containerd/$ca"
  ln -s "/etc/docker/$ca" "$ROOT/etc/containerd/$ca"
fi
