#!/usr/bin/env bash
# init-registry.sh [PORT [VOLUME [DOMAIN]]]: run the private registry with nerdctl; nothing happens if it already runs so.
# It lives in nerdctl's default namespace, where the deploy tool looks for it and the kubelet does not.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-registry.sh
. "$SCRIPTS/lib-registry.sh"

need_files bin/nerdctl
run_registry "$ROOTFS/bin/nerdctl" "$@"
