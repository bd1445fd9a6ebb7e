#!/usr/bin/env bash
# uninstall-containerd.sh: remove what containerd.sh installed (deploy tool >= 0.9). Images stay in the data root.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"
# shellcheck source=lib-registry.sh
. "$SCRIPTS/lib-registry.sh"

if [[ ! -f $OWNED/containerd ]]; then
  say "this rootfs installed no containerd here; nothing to do"
  exit 0
fi
need_commands systemctl
remove_registry "$ROOTFS/bin/nerdctl"
stop_unit containerd.service
seccomp=no
if grep -q /libseccomp "$OWNED/containerd"; then seccomp=yes; fi
folders=()
for folder in "$ROOT"/etc/containerd/certs.d/*/; do
  folder=${folder%/}
  folders+=("${folder#"$ROOT"}")
done
remove_cri containerd "${folders[@]}" /etc/containerd/certs.d /etc/containerd /usr/local/lib/sealer
if [[ $seccomp == yes ]] && command -v ldconfig >/dev/null; then ldconfig; fi
say "containerd is removed; its data root is left as it is"
