#!/usr/bin/env bash
# What scripts/install, scripts/rollout and scripts/package promise, on scratch folders: twice the
# same changes nothing, --check lists exactly what differs, --uninstall leaves nothing of ours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

ok() { printf 'ok: %s\n' "$1"; }
bad() { printf 'FAILED: %s\n' "$1"; failed=1; }
# is NAME COMMAND…: the command succeeds.
is() { local name=$1; shift; if "$@" > "$scratch/said" 2>&1; then ok "$name"; else bad "$name"; cat "$scratch/said"; fi; }
isnt() { local name=$1; shift; if "$@" > "$scratch/said" 2>&1; then bad "$name"; cat "$scratch/said"; else ok "$name"; fi; }

program() { # FILE VERSION: stands in for the built program
  printf '#!/bin/sh\n[ "$1" = --version ] && echo "printstation %s"\nexit 0\n' "$2" > "$1"
  chmod 755 "$1"
}
# Everything that can be told about a tree.
picture() { (cd "$1" && find . -printf '%p %y %m %u %g %l\n' | sort && find . -type f -exec sha256sum {} + | sort -k2); }

# ---- install ------------------------------------------------------------------------------------

root=$scratch/root
program "$scratch/one" 1.0.0
program "$scratch/two" 2.0.0
isnt "a fresh machine differs" scripts/install --root "$root" --check
[ ! -e "$root/etc/systemd" ] && ok "--check writes nothing" || bad "--check writes nothing"
is "it installs" scripts/install --root "$root" --binary "$scratch/one"
picture "$root" > "$scratch/first"
is "it installs again" scripts/install --root "$root" --binary "$scratch/one"
grep -qx 'nothing to change' "$scratch/said" && ok "the second time has nothing to change" || bad "the second time has nothing to change"
picture "$root" > "$scratch/second"
is "the second time changes nothing" diff "$scratch/first" "$scratch/second"
is "--check agrees" scripts/install --root "$root" --check
[ "$(readlink "$root/opt/printstation/current")" = slots/a ] && ok "the first program is in slot a" || bad "the first program is in slot a"

is "another program installs" scripts/install --root "$root" --binary "$scratch/two"
[ "$(readlink "$root/opt/printstation/current") $(readlink "$root/opt/printstation/previous")" = "slots/b slots/a" ] &&
  ok "it went into the other slot" || bad "it went into the other slot"
is "the way back is whole" cmp "$scratch/one" "$root/opt/printstation/slots/a/printstation"
is "the sums fit" sh -c 'cd "$1" && sha256sum -c --quiet SHA256SUMS' - "$root/opt/printstation/current/"
prefix=$(grep command_prefix "$root/etc/printstation/site.toml")
[[ $prefix =~ \"PS[A-Z0-9]{4}\.\" ]] && ok "the site has a prefix" || bad "the site has a prefix: $prefix"

mkdir -p "$root/var/lib/printstation/update"
touch "$root/var/lib/printstation/update/trial"
isnt "a release on trial is not written over" scripts/install --root "$root" --binary "$scratch/one"
rm "$root/var/lib/printstation/update/trial"

echo 'secret' > "$root/etc/printstation/credentials/starshipit-main"
chmod 644 "$root/etc/printstation/credentials/starshipit-main"
echo '# touched' >> "$root/etc/systemd/system/printstation.service"
chmod 755 "$root/etc/printstation"
isnt "differences are found" scripts/install --root "$root" --check
for what in 'printstation.service$' 'credentials/starshipit-main is 644' 'credentials.conf' '/etc/printstation is 2755'; do
  grep -q "^differs: .*$what" "$scratch/said" && ok "… $what" || bad "… $what"
done
[ "$(grep -c '^differs: ' "$scratch/said")" -eq 4 ] && ok "… and no other" || { bad "… and no other"; cat "$scratch/said"; }
is "they are put right" scripts/install --root "$root"
is "… all of them" scripts/install --root "$root" --check
[ "$(stat -c %a "$root/etc/printstation/credentials/starshipit-main")" = 600 ] && ok "a secret is its owner's" || bad "a secret is its owner's"
is "the service is handed the secret" grep -q '^LoadCredential=starshipit-main:' "$root/etc/systemd/system/printstation.service.d/credentials.conf"
[ "$(grep command_prefix "$root/etc/printstation/site.toml")" = "$prefix" ] && ok "the prefix stays" || bad "the prefix stays"

is "it uninstalls" scripts/install --root "$root" --uninstall
[ -e "$root/etc/printstation/site.toml" ] && ok "the configuration stays" || bad "the configuration stays"
is "it uninstalls all" scripts/install --root "$root" --uninstall --purge
left=$(find "$root" -not -type d | grep -vE '/etc/(passwd|group|shadow|gshadow|\.pwd\.lock)-?$' || true)
[ -z "$left" ] && ok "nothing of ours is left" || bad "nothing of ours is left: $left"

# ---- rollout ------------------------------------------------------------------------------------

# Each host is a folder; "ssh HOST COMMAND" runs it with that folder for a root.
cat > "$scratch/ssh" <<'SSH'
#!/usr/bin/env bash
host=$1; shift
[ "$host" != down ] || { echo "no route to host" >&2; exit 255; }
echo "$host: $*" >> "$HOSTS/log"
export PRINTSTATION_ROOT=$HOSTS/$host PATH=$HOSTS/bin:$PATH
exec bash -c "$*"
SSH
export HOSTS=$scratch/hosts
mkdir -p "$HOSTS/bin" "$HOSTS/pi-1" "$HOSTS/pi-2"
printf '#!/bin/sh\nexec "$@"\n' > "$HOSTS/bin/sudo"
printf '#!/bin/sh\necho "$PRINTSTATION_ROOT systemctl $*" >> "$HOSTS/log"\n' > "$HOSTS/bin/systemctl"
# A configuration that says "broken" is one.
cat > "$HOSTS/bin/printstation" <<'P'
#!/bin/sh
[ "$1" = config ] && ! grep -qs broken "$4"/../site.toml "$4" 2> /dev/null && ! grep -qs broken "$(dirname "$4")/site.toml"
P
chmod +x "$scratch/ssh" "$HOSTS/bin"/*
for host in pi-1 pi-2; do
  mkdir -p "$HOSTS/$host/etc/printstation/credentials" "$HOSTS/$host/etc/printstation/update-keys"
  echo 'old' > "$HOSTS/$host/etc/printstation/update-keys/2026a.pub"
  echo '[station]' > "$HOSTS/$host/etc/printstation/config.toml"
done
site=$scratch/site
mkdir -p "$site/credentials" "$site/update-keys"
echo '[signal]' > "$site/site.toml"
echo 'key-one' > "$site/credentials/starshipit-main"
echo 'new' > "$site/update-keys/2026b.pub"
roll() { scripts/rollout --ssh "$scratch/ssh" --site "$site" "$@"; }

isnt "a host that is down is told" roll pi-1 down
grep -q 'down' "$scratch/said" && ok "… by name" || bad "… by name"
[ -e "$HOSTS/pi-1/etc/printstation/update-keys/2026a.pub" ] && ok "the old key stays while a host is missing" || bad "the old key stays while a host is missing"
is "the site goes to all hosts" roll pi-1 pi-2
is "… the same to each" diff -r "$HOSTS/pi-1/etc" "$HOSTS/pi-2/etc"
is "… with a prefix of the site" grep -q command_prefix "$HOSTS/pi-2/etc/printstation/site.toml"
[ "$(stat -c %a "$HOSTS/pi-2/etc/printstation/credentials/starshipit-main")" = 600 ] && ok "… secrets 0600" || bad "… secrets 0600"
[ -e "$HOSTS/pi-1/etc/printstation/update-keys/2026a.pub" ] && [ -e "$HOSTS/pi-1/etc/printstation/update-keys/2026b.pub" ] &&
  ok "old and new update key overlap" || bad "old and new update key overlap"
if grep -q key-one "$HOSTS/log"; then bad "no secret is on a command line"; else ok "no secret is on a command line"; fi
picture "$HOSTS/pi-1" > "$scratch/first"
: > "$HOSTS/log"
is "again" roll pi-1 pi-2
picture "$HOSTS/pi-1" > "$scratch/second"
is "… changes nothing" diff "$scratch/first" "$scratch/second"
if grep -q 'systemctl .*restart' "$HOSTS/log"; then bad "… restarts nothing"; else ok "… restarts nothing"; fi
is "the old key goes when asked" roll --retire 2026a.pub pi-1 pi-2
[ ! -e "$HOSTS/pi-1/etc/printstation/update-keys/2026a.pub" ] && ok "… and is gone" || bad "… and is gone"
isnt "the last key does not go" roll --retire 2026b.pub pi-1 pi-2
echo 'broken = 1' >> "$site/site.toml"
cp "$HOSTS/pi-1/etc/printstation/site.toml" "$scratch/before"
isnt "a broken site file is refused by the host" roll pi-1 pi-2
is "… and not taken over" cmp "$scratch/before" "$HOSTS/pi-1/etc/printstation/site.toml"

# ---- package ------------------------------------------------------------------------------------

if command -v dpkg-deb > /dev/null && command -v readelf > /dev/null; then
  # Any ELF of this machine stands in for the built program.
  native=$(dpkg --print-architecture)
  is "a package is made" scripts/package "$native" --binary "$(readlink -f "$(command -v bash)")" --out "$scratch/debs" --any
  deb=$(echo "$scratch/debs"/printstation_*_"$native".deb)
  sha256sum < "$deb" > "$scratch/first"
  is "… again" scripts/package "$native" --binary "$(readlink -f "$(command -v bash)")" --out "$scratch/debs" --any
  sha256sum < "$deb" > "$scratch/second"
  is "… byte for byte the same" diff "$scratch/first" "$scratch/second"
  is "dpkg reads it" dpkg-deb --info "$deb"
  dpkg-deb --contents "$deb" > "$scratch/contents"
  for file in ./usr/lib/printstation/printstation ./usr/lib/printstation/install ./lib/systemd/system/printstation.service \
    ./lib/udev/rules.d/70-printstation.rules ./usr/lib/sysusers.d/printstation.conf ./usr/share/doc/printstation/copyright; do
    grep -q " $file\$" "$scratch/contents" && ok "… with $file" || bad "… with $file"
  done
  if awk '{ print $2 }' "$scratch/contents" | grep -qv '^root/root$'; then bad "… all of it root's"; else ok "… all of it root's"; fi
  isnt "a program for another machine is refused" scripts/package armhf --binary "$(readlink -f "$(command -v bash)")" --out "$scratch/debs"
  if command -v lintian > /dev/null; then
    is "lintian has nothing to say" lintian --fail-on error,warning --suppress-tags no-manual-page "$deb"
  else
    echo "SKIPPED: lintian is not installed"
  fi
else
  echo "SKIPPED: no dpkg-deb or readelf on this machine: the package was not made"
fi

exit "$failed"
