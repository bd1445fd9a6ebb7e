# shellcheck shell=bash
# What docker and containerd have in common, whole hosts included. Needs lib.sh.

SOCKET_PATH=/etc/sealerio/cri/socket-path # read by the deploy tool >= 0.9 into criSocket of kubeadm

# put_socket_path: without a newline, because the deploy tool takes the file as it is.
put_socket_path() {
  put_text 0644 "$SOCKET_PATH" "$CRI_SOCKET"
}

# init_host CRI: all that the v0.8 contract wants of init.sh. The second half is checked before the first one acts.
init_host() {
  bash "$SCRIPTS/init-kube.sh" --check
  bash "$SCRIPTS/$1.sh"
  bash "$SCRIPTS/init-kube.sh"
}

# clean_host CRI: all that the v0.8 contract wants of clean.sh.
clean_host() {
  bash "$SCRIPTS/clean-kube.sh"
  bash "$SCRIPTS/uninstall-$1.sh"
}

# remove_cri CRI FOLDER...: the files of the CRI, and those of init-kube.sh if the deploy tool took the kubelet away.
remove_cri() {
  remove_owned "$@" /etc/sealerio/cri
  systemctl daemon-reload
  if [[ -f $OWNED/kube && ! -e $ROOT/usr/bin/kubelet ]]; then bash "$SCRIPTS/clean-kube.sh"; fi
}
