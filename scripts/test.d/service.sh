#!/usr/bin/env bash
# The Debian package and its service under a real systemd, as pid 1 of a container: provisioning from
# the boot partition, the sandbox, labels, kill -9, a hang, a stop during a job, a bad configuration,
# removal. Starshipit and the printer are the program's own simulators, in the container.
#
#     scripts/test.d/service.sh PROGRAM     a printstation built for this machine
#
# Needs root, mmdebstrap and systemd-nspawn; says loudly when it cannot run. The root file system is
# made once (half a minute) and kept under target/service-root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
program=$(realpath "${1:?which program?}")
for tool in mmdebstrap systemd-nspawn nsenter dpkg-deb; do
  command -v "$tool" > /dev/null || { echo "SKIPPED: $tool is missing: apt-get install mmdebstrap systemd-container"; exit 0; }
done
[ "$(id -u)" -eq 0 ] || { echo "SKIPPED: only root can boot a container"; exit 0; }

base=${CARGO_TARGET_DIR:-target}/service-root
work=$(mktemp -d)
leader='' nspawn=''
finish() {
  if [ -n "$leader" ]; then kill -KILL "$leader" 2> /dev/null || true; fi
  if [ -n "$nspawn" ]; then kill "$nspawn" 2> /dev/null || true; wait "$nspawn" 2> /dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

if [ ! -e "$base/.whole" ]; then
  rm -rf "$base"
  mmdebstrap --variant=minbase --mode=root --format=directory --quiet --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --include=systemd,systemd-sysv,udev,dbus,ca-certificates,procps bookworm "$base" || {
      echo "SKIPPED: no Debian archive can be reached"; exit 0; }
  touch "$base/.whole"
fi
root=$work/root
cp -a --reflink=auto "$base" "$root"
cp "$program" "$work/printstation"
strip "$work/printstation" 2> /dev/null || true
CARGO_TARGET_DIR=$work scripts/package "$(dpkg --print-architecture)" --binary "$work/printstation" --out "$work" --any
cp "$work"/printstation_*.deb "$root/root/"
# As when an image is made: no /proc, no systemd.
chroot "$root" sh -c 'dpkg -i /root/printstation_*.deb'
mkdir -p "$root/boot/firmware"
cat > "$root/boot/firmware/printstation.toml" <<'T'
[station]
name = "bench-1"
[starshipit]
base_url = "http://127.0.0.1:8099"
settle = "1s"
[credentials]
starshipit-main = "sim-api-key-main"
starshipit-subscription = "sim-subscription-key"
[[starshipit.accounts]]
name = "main"
api_key = { credential = "starshipit-main" }
subscription_key = { credential = "starshipit-subscription" }
[[scanners]]
name = "bench"
connection = "tcp-listen://127.0.0.1:4001"
[[printers]]
name = "label"
connection = "tcp://127.0.0.1:9100"
language = "zpl"
T
cat > "$root/etc/systemd/system/sim.service" <<'U'
[Service]
ExecStart=/usr/bin/printstation sim --starshipit 127.0.0.1:8099 --printer label=127.0.0.1:9100,zpl --orders 20 --state /var/lib/sim --out /var/lib/sim/labels
StateDirectory=sim
[Install]
WantedBy=multi-user.target
U
chroot "$root" systemctl --quiet enable sim.service

systemd-nspawn -q -D "$root" --keep-unit --register=no --private-network --resolv-conf=off --link-journal=no -b > "$work/console" 2>&1 < /dev/null &
nspawn=$!
deadline=$((SECONDS + 180))
until [ -n "$leader" ]; do
  [ $SECONDS -lt $deadline ] || { echo "the container did not start"; cat "$work/console"; exit 1; }
  for child in $(cat /proc/$nspawn/task/*/children 2> /dev/null); do
    if [ "$(cat "/proc/$child/comm" 2> /dev/null)" = systemd ] && nsenter -t "$child" -a systemctl is-system-running 2> /dev/null | grep -qE 'running|degraded'; then
      leader=$child
    fi
  done
  sleep 0.2
done

failed=0
ok() { printf 'ok: %s\n' "$1"; }
bad() { printf 'FAILED: %s\n' "$1"; failed=1; }
in_it() { nsenter -t "$leader" -a "$@"; }
is() { local name=$1; shift; if in_it "$@" > "$work/said" 2>&1; then ok "$name"; else bad "$name"; cat "$work/said"; fi; }
show() { in_it systemctl show -p "$1" --value printstation; }
# await SECONDS COMMAND…: until it succeeds.
await() { local end=$((SECONDS + $1)); shift; until in_it "$@" > /dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.3; done; }
active() { if await 60 sh -c 'systemctl is-active -q printstation && printstation status'; then ok "$1"; else bad "$1"; in_it journalctl -u printstation -o cat -n 20 --no-pager; fi; }
printed() { in_it printstation order "$1" --json | grep -q '"state":"printed"'; }

active "the station is ready after the boot"
is "secrets left the boot partition" sh -c '! grep -rq sim-api-key /boot/firmware'
is "… and are root's alone" sh -c '[ "$(stat -c %a:%U /etc/printstation/credentials/starshipit-main)" = 600:root ]'
is "nothing differs from what the package installs" /usr/lib/printstation/install --packaged --check
is "a scan prints from within the sandbox" printstation scan WEB-20401
is "… over TCP as well" bash -c 'exec 3<>/dev/tcp/127.0.0.1/4001; printf "WEB-20402\r\n" >&3; for i in $(seq 100); do printstation order WEB-20402 --json | grep -q "\"state\":\"printed\"" && exit; sleep 0.3; done; exit 1'
if [ "$(show User)" = printstation ]; then ok "it is not root"; else bad "it is not root"; fi

in_it kill -KILL "$(show MainPID)"
if await 30 sh -c '[ "$(systemctl show -p NRestarts --value printstation)" -ge 1 ]'; then ok "it comes back after kill -9"; else bad "it comes back after kill -9"; fi
active "… ready"
# A refusal is exit 1, and what is wanted here.
said=$(in_it printstation scan WEB-20401 --json || true)
if [[ $said == *already-printed* ]]; then ok "… and knows what it printed"; else bad "… and knows what it printed"; fi

# Mid job: the scan is accepted, the label on its way.
in_it bash -c 'exec 3<>/dev/tcp/127.0.0.1/4001; printf "WEB-20403\r\n" >&3; for i in $(seq 100); do printstation order WEB-20403 --json > /dev/null 2>&1 && exit; sleep 0.05; done' || true
is "it stops within its time" systemctl stop printstation
if [ "$(show Result)" = success ]; then ok "… by itself, exit 0"; else bad "… by itself: $(show Result)"; fi
in_it systemctl start printstation
active "it starts again"
sales() { in_it sh -c 'ls /var/lib/sim/labels | wc -l'; }
before=$(sales)
if printed WEB-20401 && printed WEB-20402; then ok "what was printed stays printed"; else bad "what was printed stays printed"; fi
if [ "$(sales)" = "$before" ]; then ok "… and nothing printed again by itself"; else bad "… and nothing printed again by itself"; fi

in_it kill -STOP "$(show MainPID)"
if await 90 sh -c '[ "$(systemctl show -p NRestarts --value printstation)" -ge 1 ]'; then ok "a hang is killed and restarted"; else bad "a hang is killed and restarted"; fi
active "… ready"

in_it sh -c 'cp /etc/printstation/config.toml /root/good; echo "nonsense = 1" >> /etc/printstation/config.toml; systemctl restart printstation' > /dev/null 2>&1 || true
in_it sleep 5
if [ "$(show ExecMainStatus)" = 78 ] && [ "$(show ActiveState)" = failed ]; then ok "a bad configuration exits 78 and is not tried again"; else bad "a bad configuration: $(show ExecMainStatus) $(show ActiveState)"; fi
in_it sh -c 'cat /root/good > /etc/printstation/config.toml; systemctl restart printstation'
active "a corrected one starts"

is "the package goes" dpkg -r printstation
is "… orders and configuration stay" sh -c '[ -e /var/lib/printstation/ledger ] && [ -e /etc/printstation/config.toml ] && [ ! -e /opt/printstation ]'
is "… until purged" sh -c 'dpkg -P printstation && [ ! -e /var/lib/printstation ] && [ ! -e /etc/printstation ]'
exit "$failed"
