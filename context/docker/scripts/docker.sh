#!/usr/bin/env bash
# docker.sh: install and start docker, and cri-dockerd where the rootfs has it (deploy tool >= 0.9).
# Environment: RegistryURL or RegistryDomain and RegistryPort; ContainerDataRoot (default /var/lib/docker).
set -euo pipefail
SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$SCRIPTS/lib.sh"
# shellcheck source=lib-cri.sh
. "$SCRIPTS/lib-cri.sh"

read_facts
refuse_sample
resolve_registry '' ''
shim=no # Kubernetes talks to docker itself, or through cri-dockerd
if [[ $CRI_SOCKET == *cri-dockerd* || -f $ROOTFS/cri/cri-dockerd.tar.gz ]]; then shim=yes; fi
files=(cri/docker.tar.gz etc/docker.service etc/daemon.json)
if [[ $shim == yes ]]; then files+=(cri/cri-dockerd.tar.gz etc/cri-docker.service etc/cri-docker.socket); fi
need_files "${files[@]}"
need_commands systemctl tar gzip cmp

make_stage
check_archive cri/docker.tar.gz docker/dockerd docker/docker docker/containerd docker/runc
unpack cri/docker.tar.gz
engine=$UNPACKED/docker
paths=(/etc/systemd/system/docker.service /etc/docker/daemon.json)
for file in "$engine"/*; do paths+=("/usr/bin/${file##*/}"); done
if [[ $shim == yes ]]; then
  check_archive cri/cri-dockerd.tar.gz cri-dockerd/cri-dockerd
  unpack cri/cri-dockerd.tar.gz
  paths+=(/usr/bin/cri-dockerd /etc/systemd/system/cri-docker.service /etc/systemd/system/cri-docker.socket)
fi

claim docker "${paths[@]}"
own docker "$SOCKET_PATH"
PENDING=$OWNED/docker.pending
for file in "$engine"/*; do put 0755 "$file" "/usr/bin/${file##*/}"; done
put 0644 "$ROOTFS/etc/docker.service" /etc/systemd/system/docker.service
put_config etc/daemon.json /etc/docker/daemon.json '"/var/lib/docker"' "\"${ContainerDataRoot:-/var/lib/docker}\""
if [[ $shim == yes ]]; then
  put 0755 "$UNPACKED/cri-dockerd/cri-dockerd" /usr/bin/cri-dockerd
  put_config etc/cri-docker.service /etc/systemd/system/cri-docker.service
  put 0644 "$ROOTFS/etc/cri-docker.socket" /etc/systemd/system/cri-docker.socket
fi
units=(docker.service)
if [[ $shim == yes ]]; then units+=(cri-docker.socket cri-docker.service); fi
start_units "${units[@]}"
put_socket_path
say "docker is ready"
