#!/usr/bin/env bash
# kubelet-pre-start.sh: kernel modules, sysctl, swap and SELinux as the kubelet wants them; runs before each of its starts.
# It lives alone in /usr/bin and can use nothing of the rootfs. What the host refuses is reported and does not stop
# the kubelet, whose own checks say what is really needed.
set -euo pipefail

ROOT=${ROOT:-}
MODULES='br_netfilter overlay ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh'
SETTINGS='net.bridge.bridge-nf-call-ip6tables = 1
net.bridge.bridge-nf-call-iptables = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1'

umask 022
warn() { printf 'kubelet-pre-start.sh: warning: %s\n' "$*" >&2; }

# write PATH TEXT: at once, and only if the file differs.
write() {
  if [[ -f $1 && $(<"$1") == "$2" ]]; then return; fi
  mkdir -p "${1%/*}"
  printf '%s\n' "$2" >"$1.new"
  mv -f "$1.new" "$1"
}

load_modules() {
  local module loaded=''
  for module in $MODULES; do
    if modprobe -q "$module"; then loaded+=$module$'\n'; else warn "kernel module $module cannot be loaded"; fi
  done
  # Kernels before 4.19 know the second name.
  for module in nf_conntrack nf_conntrack_ipv4 none; do
    if [[ $module == none ]]; then
      warn "kernel module nf_conntrack cannot be loaded"
    elif modprobe -q "$module"; then
      loaded+=$module$'\n'
      break
    fi
  done
  write "$ROOT/etc/modules-load.d/k8s.conf" "${loaded%$'\n'}"
}

apply_settings() {
  write "$ROOT/etc/sysctl.d/k8s.conf" "$SETTINGS"
  sysctl -e -q -p "$ROOT/etc/sysctl.d/k8s.conf" >/dev/null || warn "not every setting of /etc/sysctl.d/k8s.conf took effect"
}

disable_swap() {
  local fstab=$ROOT/etc/fstab text
  swapoff -a || warn "swap is still on; the kubelet may refuse to start"
  if [[ -f $fstab ]]; then
    text=$(sed -E 's/^([^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]])/# kubelet: \1/' "$fstab")
    write "$fstab" "$text"
  fi
}

relax_selinux() {
  local config=$ROOT/etc/selinux/config text
  if command -v getenforce >/dev/null && [[ $(getenforce) == Enforcing ]]; then
    setenforce 0 || warn "SELinux stays enforcing"
  fi
  if [[ -f $config ]]; then
    text=$(sed -E 's/^SELINUX=enforcing/SELINUX=permissive/' "$config")
    write "$config" "$text"
  fi
}

accept_forwarding() {
  if command -v iptables >/dev/null; then
    iptables -w -P FORWARD ACCEPT || warn "the FORWARD policy of iptables cannot be set to ACCEPT"
  else
    warn "iptables is not installed; kube-proxy needs it"
  fi
}

load_modules
apply_settings
disable_swap
relax_selinux
accept_forwarding
