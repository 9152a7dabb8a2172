#!/bin/sh
# The programs of other people that the tests use (`test-deps.sh net`: those of `bun run test:net`): what is not there is
# installed, where this is a Debian or an Ubuntu and one may; else this says what is missing, and fails.
set -eu

missing=""
packages=""
# A program and the package it comes from.
need() {
  if ! command -v "$1" >/dev/null 2>&1; then
    missing="$missing $1"
    packages="$packages $2"
  fi
}

needed_by_tests() {
  need nc netcat-openbsd
  need socat socat
  need ncat ncat
  need ip iproute2
  need unshare util-linux
  need nsenter util-linux
  need setpriv util-linux
  need script bsdutils
  need curl curl
  need wget wget
  need openssl openssl
  need haproxy haproxy
  need nginx nginx-light
  # The page is looked at in a browser; Chrome is one, too.
  command -v google-chrome >/dev/null 2>&1 || need chromium chromium

  # nginx with streams: a module of its own on Debian, built in elsewhere.
  if [ ! -e /usr/lib/nginx/modules/ngx_stream_module.so ] && ! nginx -V 2>&1 | grep -q -- '--with-stream\( \|$\)'; then
    missing="$missing nginx-with-stream"
    packages="$packages libnginx-mod-stream"
  fi

  # The nc of the examples is OpenBSD's: only that one half-closes (-N).
  if command -v nc >/dev/null 2>&1 && ! nc -h 2>&1 | grep -q -- '-N'; then
    missing="$missing nc-with-N"
    packages="$packages netcat-openbsd"
  fi
}

needed_by_net() {
  need socat socat
  need ip iproute2
  need iptables iptables
  need ip6tables iptables
  need nft nftables
  need conntrack conntrack
  need unshare util-linux
  need nsenter util-linux
  need setpriv util-linux
  need prlimit util-linux
}

needed_by=needed_by_tests
if [ "${1-}" = net ]; then needed_by=needed_by_net; fi
"$needed_by"
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "tests need:$missing (Debian packages:$packages); install them, or run as root where apt-get is" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# HAProxy and nginx come with services, which would start at once and at every boot. The tests start what they need
# themselves, so policy-rc.d forbids the first (where it does not already), and what this installed is disabled.
policy=/usr/sbin/policy-rc.d
ours=""
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  ours=yes
fi
trap '[ -z "$ours" ] || rm -f "$policy"' EXIT
had_haproxy=$(command -v haproxy || true)
had_nginx=$(command -v nginx || true)
lock="-o DPkg::Lock::Timeout=120" # another run of the tests may be installing
apt-get $lock -qq update >&2
# shellcheck disable=SC2086 # a list of packages
apt-get $lock -qq install -y --no-install-recommends $packages >&2

for service in haproxy nginx; do
  eval "had=\$had_$service"
  if [ -z "$had" ] && command -v systemctl >/dev/null 2>&1; then systemctl --quiet disable "$service" >&2 || true; fi
done

# What came is looked for once more.
was=$packages
missing=""
"$needed_by"
[ -z "$missing" ] || { echo "tests need$missing, which did not come with:$was" >&2; exit 1; }
