#!/usr/bin/env bash
# init.sh [DATA-ROOT [DOMAIN [PORT]]]: docker and kubelet on one host (deploy tool 0.8).
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"

read_facts
resolve_registry "${2:-}" "${3:-}"
ContainerDataRoot=${1:-/var/lib/docker} RegistryURL=$ENDPOINT init_host docker
