#!/usr/bin/env bash
# clean-kube.sh: remove what init-kube.sh installed. `kubeadm reset` is the business of the deploy tool and comes before.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"

if [[ ! -f $OWNED/kube ]]; then
  say "this rootfs installed no Kubernetes here; nothing to do"
  exit 0
fi
need_commands systemctl
stop_unit kubelet.service
rm -f -- "$ROOT/etc/sysctl.d/k8s.conf" "$ROOT/etc/modules-load.d/k8s.conf"
remove_owned kube /etc/systemd/system/kubelet.service.d
systemctl daemon-reload
say "Kubernetes' programs and units are removed"
