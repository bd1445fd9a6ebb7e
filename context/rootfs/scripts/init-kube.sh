#!/usr/bin/env bash
# init-kube.sh [--check]: Kubernetes' programs, the kubelet's units and the host settings they need.
# The kubelet is enabled and not started: kubeadm does that. --check looks at the rootfs only.
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"

ours=(kubeadm kubectl kubelet seautil) # these must be the ones of this rootfs; any conntrack, say, is good enough
read_facts
refuse_sample
need_files "${ours[@]/#/bin/}" bin/conntrack bin/crictl etc/kubelet.service etc/10-kubeadm.conf scripts/kubelet-pre-start.sh
need_commands systemctl cmp
if [[ ${1:-} == --check ]]; then exit 0; fi

# open_firewall: the host firewalls know nothing of pod networks.
open_firewall() {
  if systemctl is-active --quiet firewalld.service; then
    say "firewalld is stopped and disabled"
    systemctl disable --quiet --now firewalld.service
  fi
  if command -v ufw >/dev/null && [[ $(ufw status) == *"Status: active"* ]]; then
    say "ufw is disabled"
    ufw disable >/dev/null
  fi
}

open_firewall
own kube "${ours[@]/#//usr/bin/}" /usr/bin/kubelet-pre-start.sh \
  /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
for file in "$ROOTFS"/bin/*; do
  path=/usr/bin/${file##*/}
  if is_foreign kube "$path"; then
    say "$path was here before and is kept"
    continue
  fi
  own kube "$path"
  put 0755 "$file" "$path"
done
put 0755 "$SCRIPTS/kubelet-pre-start.sh" /usr/bin/kubelet-pre-start.sh
CHANGED=no # from here on: did a unit change?
put 0644 "$ROOTFS/etc/kubelet.service" /etc/systemd/system/kubelet.service
put 0644 "$ROOTFS/etc/10-kubeadm.conf" /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
mkdir -p "$ROOT/var/lib/kubelet"
bash "$SCRIPTS/kubelet-pre-start.sh"
if [[ $CHANGED == yes ]]; then systemctl daemon-reload; fi
systemctl is-enabled --quiet kubelet.service 2>/dev/null || systemctl enable --quiet kubelet.service
say "the host is ready for kubeadm"
