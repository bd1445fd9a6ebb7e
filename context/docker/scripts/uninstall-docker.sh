#!/usr/bin/env bash
# uninstall-docker.sh: remove what docker.sh installed (deploy tool >= 0.9). Images and containers stay in the data root.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"
# shellcheck source=lib-registry.sh
. "$SCRIPTS/lib-registry.sh"

if [[ ! -f $OWNED/docker ]]; then
  say "this rootfs installed no docker here; nothing to do"
  exit 0
fi
need_commands systemctl
remove_registry docker
for unit in cri-docker.service cri-docker.socket docker.service; do stop_unit "$unit"; done
if command -v ip >/dev/null && ip link show docker0 >/dev/null 2>&1; then
  ip link delete docker0 || warn "the bridge docker0 cannot be removed"
fi
remove_cri docker /etc/docker
say "docker is removed; its data root is left as it is"
