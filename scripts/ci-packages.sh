#!/usr/bin/env bash
# Installs the Debian packages whose programs the client tests run, where they are missing and this is root.
# No service is started, and none stays running. What cannot be installed is said; the tests say what they skip.
set -u
export PATH="$PATH:/usr/sbin:/sbin"

# program:package
wanted=(
  skopeo:skopeo
  docker-registry:docker-registry
  dockerd:docker.io
  debootstrap:debootstrap
  ip:iproute2
  faketime:faketime
  strace:strace
  podman:podman
  ctr:containerd
)

missing_packages() {
  local pair
  for pair in "${wanted[@]}"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
}

# Debian asks this file before a package starts its service; 101 means no. What stood there comes back.
readonly policy=/usr/sbin/policy-rc.d
forbid_services() {
  if [ -e "$policy" ]; then mv "$policy" "$policy.before-ci"; fi
  trap allow_services EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
}
allow_services() {
  rm -f "$policy"
  if [ -e "$policy.before-ci" ]; then mv "$policy.before-ci" "$policy"; fi
}

install_packages() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y \
    --no-install-recommends "$@" </dev/null >/dev/null
}

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -eq 0 ]; then
  echo 'client tests: every program is here'
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "client tests: missing, and not installed without root and apt-get: ${packages[*]}"
  exit 0
fi

echo "client tests: installing ${packages[*]}"
forbid_services
apt-get -o DPkg::Lock::Timeout=300 -qq update </dev/null
# One that cannot be had must not keep the others away.
install_packages "${packages[@]}" || for package in "${packages[@]}"; do install_packages "$package"; done

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then
  echo "client tests: could not install ${packages[*]}; the tests that need them are skipped"
fi
exit 0
