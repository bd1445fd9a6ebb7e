#!/usr/bin/env bash
# containerd.sh: install and start containerd with runc (deploy tool >= 0.9).
# Environment: RegistryURL or RegistryDomain and RegistryPort; ContainerDataRoot (default /var/lib/containerd).
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"

SECCOMP=/usr/local/lib/sealer # a folder of ours, so that no library of the distribution is replaced
SECCOMP_CONF=/etc/ld.so.conf.d/00-sealer.conf

# seccomp_version FOLDER...: the newest libseccomp 2.x.y in the folders, from the names of its files.
seccomp_version() {
  local folder file
  for folder in "$@"; do
    for file in "$folder"/libseccomp.so.2.*; do
      if [[ -e $file ]]; then printf '%s\n' "${file##*/libseccomp.so.}"; fi
    done
  done | sort -V | tail -n 1
}

read_facts
refuse_sample
resolve_registry '' ''
need_files cri/containerd.tar.gz etc/containerd.service etc/dump-config.toml etc/hosts.toml
need_commands systemctl tar gzip cmp

ours=$(seccomp_version "$ROOTFS/cri/lib64")
theirs=$(seccomp_version "$ROOT"/{,usr/}lib{,64} "$ROOT"/{,usr/}lib/*-linux-gnu*)
seccomp=no
if [[ -z $theirs ]]; then
  need_files cri/lib64/libseccomp.so.2 "cri/lib64/libseccomp.so.${ours:-2.5.1}"
  seccomp=yes
elif [[ -n $ours && $theirs != "$ours" && $(printf '%s\n' "$ours" "$theirs" | sort -V | tail -n 1) == "$ours" ]]; then
  need_files cri/lib64/libseccomp.so.2
  seccomp=yes
fi
if [[ $seccomp == yes ]]; then need_commands ldconfig; fi

make_stage
check_archive cri/containerd.tar.gz usr/local/bin/containerd usr/local/bin/ctr usr/local/bin/containerd-shim-runc-v2 usr/local/sbin/runc
unpack cri/containerd.tar.gz
paths=(/etc/systemd/system/containerd.service /etc/containerd/config.toml)
programs=()
while read -r file; do programs+=("/$file"); done < <(cd "$UNPACKED" && find usr/local opt -type f 2>/dev/null | LC_ALL=C sort)
paths+=("${programs[@]}")

claim containerd "${paths[@]}"
own containerd "$SOCKET_PATH" "/etc/containerd/certs.d/$ENDPOINT/hosts.toml" /etc/containerd/certs.d/_default/hosts.toml
PENDING=$OWNED/containerd.pending
for file in "${programs[@]}"; do put 0755 "$UNPACKED$file" "$file"; done
if [[ $seccomp == yes ]]; then
  own containerd "$SECCOMP/libseccomp.so.2" "$SECCOMP/libseccomp.so.$ours" "$SECCOMP_CONF"
  for file in libseccomp.so.2 "libseccomp.so.$ours"; do put 0755 "$ROOTFS/cri/lib64/$file" "$SECCOMP/$file"; done
  put_text 0644 "$SECCOMP_CONF" "$SECCOMP"$'\n'
  if [[ $CHANGED == yes ]]; then ldconfig; fi
fi
put 0644 "$ROOTFS/etc/containerd.service" /etc/systemd/system/containerd.service
put_config etc/dump-config.toml /etc/containerd/config.toml '"/var/lib/containerd"' "\"${ContainerDataRoot:-/var/lib/containerd}\""
start_units containerd.service

# containerd reads the folder certs.d at every pull, so a change in it asks for no restart.
put_config etc/hosts.toml "/etc/containerd/certs.d/$ENDPOINT/hosts.toml"
# Any other registry: ask the private one first, and the real one after it. That is the same file without its server.
grep -v '^server' "$ROOT/etc/containerd/certs.d/$ENDPOINT/hosts.toml" >"$STAGE/default.toml"
put 0644 "$STAGE/default.toml" /etc/containerd/certs.d/_default/hosts.toml
put_socket_path
say "containerd is ready"
