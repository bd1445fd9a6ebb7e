# shellcheck shell=bash
# The private registry: one container on the host network. Needs lib.sh.
# docker and nerdctl are called ENGINE here; the words used are those which both know.

REGISTRY_NAME=sealer-registry # the deploy tool removes the container by this name
REGISTRY_IMAGE=registry:2.7.1
REGISTRY_MARK=$OWNED/registry # what the container was started with; older releases of nerdctl do not tell its labels

# run_registry ENGINE [PORT [VOLUME [DOMAIN]]]
run_registry() {
  local engine=$1 volume=${3:-$ROOTFS/registry} config=$ROOTFS/etc/registry_config.yml
  local htpasswd=$ROOTFS/etc/registry_htpasswd state digest
  local -a args
  read_facts
  refuse_sample
  resolve_registry "${4:-}" "${2:-}"
  need_files images/registry.tar etc/registry_config.yml
  need_commands "$engine" sha256sum
  [[ $PORT != none ]] || die "the registry needs a port; give one as the first argument or as RegistryPort"
  args=(--restart=always --net=host
    -v "$volume:/var/lib/registry" -v "$config:/etc/docker/registry/config.yml:ro"
    -e "REGISTRY_HTTP_ADDR=:$PORT")
  registry_tls
  registry_auth

  state=$(registry_state "$engine")
  digest=$(registry_digest)
  if [[ $state == running && -f $REGISTRY_MARK && $(<"$REGISTRY_MARK") == "$digest" ]]; then
    say "$REGISTRY_NAME already runs on port $PORT"
    return
  fi

  mkdir -p "$volume"
  if ! "$engine" image inspect "$REGISTRY_IMAGE" >/dev/null 2>&1; then
    "$engine" load -i "$ROOTFS/images/registry.tar" || die "images/registry.tar of the rootfs cannot be loaded"
  fi
  if [[ -n $state ]]; then "$engine" rm -f "$REGISTRY_NAME"; fi
  "$engine" run -d --name "$REGISTRY_NAME" "${args[@]}" "$REGISTRY_IMAGE" ||
    die "$REGISTRY_NAME cannot be started"
  mkdir -p "$OWNED"
  printf '%s\n' "$digest" >"$REGISTRY_MARK"
  # One that cannot read its configuration or storage comes up, and goes within the second.
  for _ in 1 2 3; do
    sleep 1
    if [[ $(registry_state "$engine") != running ]]; then
      "$engine" logs --tail 20 "$REGISTRY_NAME" >&2 || true
      die "$REGISTRY_NAME does not stay up; its last messages are above"
    fi
  done
  say "$REGISTRY_NAME runs on port $PORT"
}

# registry_tls: the deploy tool puts the pair there, unless its registry is configured as insecure.
registry_tls() {
  local crt=$ROOTFS/certs/$DOMAIN.crt key=$ROOTFS/certs/$DOMAIN.key
  if [[ -f $crt && -f $key ]]; then
    args+=(-v "$ROOTFS/certs:/certs:ro"
      -e "REGISTRY_HTTP_TLS_CERTIFICATE=/certs/$DOMAIN.crt" -e "REGISTRY_HTTP_TLS_KEY=/certs/$DOMAIN.key")
  elif [[ -f $crt ]]; then
    die "certs/$DOMAIN.crt of the rootfs has no certs/$DOMAIN.key"
  elif [[ -f $key ]]; then
    die "certs/$DOMAIN.key of the rootfs has no certs/$DOMAIN.crt"
  else
    warn "no certs/$DOMAIN.crt and .key in the rootfs: $REGISTRY_NAME serves plain HTTP"
  fi
}

registry_auth() {
  if [[ -f $htpasswd ]]; then
    args+=(-v "$htpasswd:/htpasswd:ro" -e REGISTRY_AUTH=htpasswd
      -e REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd -e "REGISTRY_AUTH_HTPASSWD_REALM=private registry")
  fi
}

# registry_digest: changes with whatever needs a new container.
registry_digest() {
  local file
  {
    printf '%s\n' "$REGISTRY_IMAGE" "${args[@]}"
    for file in "$config" "$htpasswd" "$ROOTFS/certs/$DOMAIN.crt" "$ROOTFS/certs/$DOMAIN.key"; do
      if [[ -f $file ]]; then cat "$file"; fi
    done
  } | sha256sum | cut -c 1-64
}

# registry_state ENGINE: running, restarting, exited and so on; nothing if there is no container.
registry_state() {
  "$1" inspect --format '{{.State.Status}}' "$REGISTRY_NAME" 2>/dev/null || true
}

# remove_registry ENGINE: it would outlive the engine, or come back with it.
remove_registry() {
  if command -v "$1" >/dev/null && [[ -n $(registry_state "$1") ]]; then
    "$1" rm -f "$REGISTRY_NAME" >/dev/null || warn "the container $REGISTRY_NAME cannot be removed"
  fi
  rm -f -- "$REGISTRY_MARK"
}
