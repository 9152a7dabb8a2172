#!/usr/bin/env bash
# What CI runs for the fleet: sees to it that what the end-to-end tests need is on this machine, then runs them on a
# cluster that they bring up and take down. Debian, root. About seven minutes on a new machine with two cores, of
# which two are packages, base images and the cluster's first start.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=()
command -v git >/dev/null || packages+=(git)
command -v xz >/dev/null || packages+=(xz-utils)
command -v cc >/dev/null || packages+=(gcc libc6-dev) # the cluster's pause image is compiled
if ((${#packages[@]})); then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
# Files of the cluster's own. Its `up` and the image builder install what they need besides.
state=${CLUSTER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/echo-cluster}
scripts/kustomize >/dev/null
if ! command -v kubectl >/dev/null; then
  # The one inside the cluster's binary, which is there once it has been up.
  mkdir -p dist/bin
  printf '#!/bin/sh\nexec "%s/bin/kube" kubectl "$@"\n' "$state" >dist/bin/kubectl
  chmod +x dist/bin/kubectl
  PATH=$PWD/dist/bin:$PATH
fi
unset KUBECONFIG # a cluster of its own, whatever the machine has
npx -y bun@1.4.5 run test:e2e
