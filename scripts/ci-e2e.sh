#!/usr/bin/env bash
# What CI runs for the fleet: sees to it that kustomize and kubectl are there, then runs the end-to-end tests on a
# cluster that they bring up and take down: that of ECHO_E2E_CLUSTER, with images that ECHO_E2E_BUILD builds
# (test/e2e/cluster.ts). It installs the packages that it needs itself; Debian, root.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/kustomize >/dev/null
if ! command -v kubectl >/dev/null; then
  # The one inside the cluster's binary, which is there once it has been up.
  state=${CLUSTER_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/echo-cluster}
  mkdir -p dist/bin
  printf '#!/bin/sh\nexec "%s/bin/kube" kubectl "$@"\n' "$state" >dist/bin/kubectl
  chmod +x dist/bin/kubectl
  PATH=$PWD/dist/bin:$PATH
fi
unset KUBECONFIG # that cluster and no other, whatever the machine has
npx -y bun@1.4.5 run test:e2e
