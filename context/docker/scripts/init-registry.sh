#!/usr/bin/env bash
# init-registry.sh [PORT [VOLUME [DOMAIN]]]: run the private registry with docker; nothing happens if it already runs so.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-registry.sh
. "$SCRIPTS/lib-registry.sh"

run_registry docker "$@"
