#!/usr/bin/env bash
# Install the programs that the interop tests and the benchmarks talk to.
#
# Debian and Ubuntu, as root or with a sudo that asks no password; elsewhere it says what is
# missing.  It always succeeds: whoever needs a program that is not there says so, and the
# tests fail for it where CI is set.
set -u

# program: the Debian package that has it
declare -A packages=(
    [curl]=curl
    [nginx]=nginx-light
    [nghttp]=nghttp2-client
    [h2load]=nghttp2-client
    [wrk]=wrk
    [tinyproxy]=tinyproxy
    [danted]=dante-server
    [chromium]=chromium
    [chromedriver]=chromium-driver
)

PATH=$PATH:/usr/sbin # nginx is there, and a plain user's PATH may lack it

missing() {
    for program in "${!packages[@]}"; do
        command -v "$program" >/dev/null || echo "${packages[$program]}"
    done | sort -u
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo --non-interactive true 2>/dev/null; then
        echo "Not installed, for want of root: ${wanted//$'\n'/ }" >&2
        exit 0
    fi
    as_root=(sudo --non-interactive)
fi
if ! command -v apt-get >/dev/null; then
    echo "Not installed, for want of apt-get: ${wanted//$'\n'/ }" >&2
    exit 0
fi

echo "Installing ${wanted//$'\n'/ } ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update --quiet=2 >"$log" 2>&1 || tail -n 5 "$log" >&2
for package in $wanted; do # one by one, so that one that is not to be had stops no other
    "${as_root[@]}" apt-get install --quiet=2 --yes --no-install-recommends "$package" \
        >"$log" 2>&1 || tail -n 5 "$log" >&2
done

wanted=$(missing)
[ -z "$wanted" ] || echo "Could not be installed: ${wanted//$'\n'/ }" >&2
exit 0
