#!/usr/bin/env bash
# clean.sh: undo init.sh (deploy tool 0.8). The data of containerd and of the registry stay.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"

clean_host containerd
