#!/bin/sh
# The Debian package from its installation to its purge, in a guest of the lab; lab/package.py brings it there.
# Says what it has seen, one line a step, and ends at the first thing that is not as it should be.
set -eu
cd /root
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

unit=/etc/systemd/system/memwatchd.service
confd=/etc/memwatchd/conf.d
state=/run/memwatchd/state.json

uptime_s() { cut -d . -f 1 /proc/uptime; }
began_s=$(uptime_s)
ok() { printf 'ok    %4d s  %s\n' $(($(uptime_s) - began_s)) "$*"; }
fail() {
    printf 'FAIL  %4d s  %s\n' $(($(uptime_s) - began_s)) "$*"
    systemctl --no-pager --full status 'memwatchd*' || true
    journalctl --no-pager --boot --unit 'memwatchd*' | tail -n 60
    exit 1
}
expect() { what=$1; shift; "$@" > /tmp/said 2>&1 || { cat /tmp/said; fail "$what"; }; ok "$what"; }
refuse() { what=$1; shift; if "$@" > /tmp/said 2>&1; then cat /tmp/said; fail "$what"; fi; ok "$what"; }
# Waits until a command succeeds.
soon() {
    what=$1; shift; n=0
    until "$@" > /tmp/said 2>&1; do
        n=$((n + 1)); [ "$n" -lt 240 ] || { cat /tmp/said; fail "in vain: $what"; }
        sleep 0.5
    done
    ok "$what"
}
has() { grep -q -- "$1" "$2"; }
said() { python3 -c "import json,sys; x=json.load(open('$state')); print($1)"; }
is() { [ "$1" = "$2" ] || { echo "$1, expected $2"; return 1; }; }
scrape() { python3 -c "
import urllib.request
print(urllib.request.urlopen('http://127.0.0.1:10973/metrics', timeout=10).read().decode())"; }
metric() { scrape | python3 -c "
import sys
values = [float(line.rpartition(' ')[2]) for line in sys.stdin if line.partition(' ')[0].partition('{')[0] == '$1']
sys.exit(not any(value $2 for value in values))"; }
# Whether the oldest sample in the ring is from before this second of the machine's uptime.
reaches() { memwatchd status --json | python3 -c "
import json, sys, time
sys.exit(time.monotonic() - json.load(sys.stdin)['ring']['reach_s'] >= $1)"; }
incidents() { memwatchd incidents --json | python3 -c "
import json, sys
found = [each for each in json.load(sys.stdin) if each['kind'] == '$1' and each['complete']]
sys.exit(len(found) < ${2:-1})"; }
journal_has() { [ -n "$(journalctl --no-pager --quiet -t memwatchd "$@")" ]; }
everything() {
    # All that a package could leave behind, and the figures a rule could have changed.
    find / -xdev \( -path /root -o -path /var/log -o -path /var/lib/dpkg -o -path /tmp -o -path /var/cache \) -prune -o \
        -name '*memwatchd*' -print | sort
    getent group memwatchd || true
}
settings() { sysctl vm.swappiness vm.min_free_kbytes; for name in sshd cron; do pid=$(pgrep -o -x $name); printf '%s %s\n' $name "$(cat /proc/$pid/oom_score_adj)"; done; }

# ---- before

rm -f "$unit"  # the lab masks what is not under trial
sed -i '/path-exclude/d' /etc/dpkg/dpkg.cfg.d/*  # the lab has no use for manual pages; this trial looks for them
systemctl daemon-reload
everything > before.files
running=$(systemctl is-system-running || true)
settings > before.settings

# ---- installed

expect "the package is installed" dpkg --install first.deb
expect "the service runs" systemctl is-active memwatchd.service
soon "the exporter runs" systemctl is-active memwatchd-exporter.service
expect "both start with the machine" systemctl is-enabled memwatchd.service memwatchd-exporter.service
soon "the state file is there" test -s "$state"
soon "the service is ready, and says how it does" sh -c 'systemctl show -P StatusText memwatchd | grep -q " ticks at "'
expect "nothing is missing in the sandbox" is "$(said "[each for each in x['degraded'] if 'the rate gives way' not in each]")" "[]"
expect "it is in a slice of its own" is "$(systemctl show -P Slice memwatchd)" memwatchd.slice
expect "the slice's memory is protected" is "$(cat /sys/fs/cgroup/memwatchd.slice/memory.min)" 100663296
expect "and so is the service's" is "$(cat /sys/fs/cgroup/memwatchd.slice/memwatchd.service/memory.min)" 67108864
main=$(systemctl show -P MainPID memwatchd)
expect "the OOM killer will not take it" is "$(cat "/proc/$main/oom_score_adj")" -999
soon "cron is protected" sh -c '[ "$(cat /proc/$(pgrep -o -x cron)/oom_score_adj)" = -900 ]'
soon "metrics are served" metric memwatchd_up '== 1'

exporter=$(systemctl show -P MainPID memwatchd-exporter)
expect "the exporter has no capabilities" has "CapEff:[[:space:]]*0000000000000000" "/proc/$exporter/status"
refuse "the exporter is not root" has "^Uid:[[:space:]]*0[[:space:]]" "/proc/$exporter/status"
expect "the exporter sees the ring" test -e "/proc/$exporter/root/run/memwatchd/ring"
refuse "but not systemd's sockets" test -e "/proc/$exporter/root/run/systemd/private"
refuse "nor incidents" test -e "/proc/$exporter/root/var/lib/memwatchd"
expect "events are not for it" is "$(stat -c %a /run/memwatchd/events)" 600
expect "the ring is for the group" is "$(stat -c '%a %G' /run/memwatchd/ring)" "640 memwatchd"
expect "the control socket is root's" is "$(stat -c %a /run/memwatchd/control.sock)" 600

expect "check --unit agrees, as does the package's test of what is installed" sh test-installed

# ---- another configuration

printf 'sampling: {rate: much}\n' > $confd/90-wrong.yaml
refuse "a wrong configuration is refused by systemctl reload" systemctl reload memwatchd
expect "and the old one goes on" systemctl is-active memwatchd
rm $confd/90-wrong.yaml
# At a rate that leaves emulated processors something.
cat > $confd/50-trial.yaml <<'YAML'
sampling: {rate: 20Hz}
incidents: {after: 2s}
rules:
  trial:
    when: meminfo.MemTotal > 1MiB
    cooldown: 1h
    actions: [{sysctl: {setting: vm.swappiness, value: 7}}]
YAML
expect "a good configuration is taken" systemctl reload memwatchd
expect "the unit is active, and not reloading, afterwards" is "$(systemctl show -P ActiveState memwatchd)" active
soon "the rule may write below /proc/sys/vm" sh -c '[ "$(sysctl -n vm.swappiness)" = 7 ]'
expect "kill -HUP does the same" systemctl kill --kill-whom=main --signal=HUP memwatchd
soon "and the unit is active afterwards" sh -c '[ "$(systemctl show -P ActiveState memwatchd)" = active ]'
soon "the rule's figures are in the journal" journal_has MEMWATCHD_RULE=trial MEMWATCHD_ACTION=sysctl MEMWATCHD_VERDICT=helped
chmod 666 $confd/50-trial.yaml
refuse "a configuration that anybody may change is refused" systemctl reload memwatchd
chmod 644 $confd/50-trial.yaml

# ---- kills

expect "the package's test of a kill passes: show and explain tell of it" sh test-killed
soon "a kill by the kernel becomes an incident" incidents kernel_kill
soon "and a figure" metric memwatchd_kills_total '>= 1'
soon "and an entry of the journal, with fields" journal_has MESSAGE_ID=e3dfd1b598074877a8c8ed98b3d636eb MEMWATCHD_VICTIM=python3
expect "which the catalogue explains" sh -c 'journalctl --no-pager --catalog -t memwatchd MESSAGE_ID=e3dfd1b598074877a8c8ed98b3d636eb | grep -q "memwatchd explain last"'
expect "members of the group may read it" is "$(stat -c '%a %G' /var/lib/memwatchd/incidents)" "750 memwatchd"

before=$(systemctl show -P NRestarts memwatchd)
kill -KILL "$(systemctl show -P MainPID memwatchd)"
soon "a killed daemon is started again" sh -c "[ \"\$(systemctl show -P NRestarts memwatchd)\" -gt $before ] && systemctl is-active memwatchd"
soon "what it had recorded becomes an incident" incidents recorder_died
soon "the exporter came again with it" metric memwatchd_up '== 1'
soon "the rule's change is in force again" sh -c '[ "$(sysctl -n vm.swappiness)" = 7 ]'

sampler=$(said "x['sampler_pid']")
kill -STOP "$sampler"
soon "a sampler that stands still is ended by systemd's watchdog, and a new one comes" sh -c "[ \"\$(python3 -c \"import json; print(json.load(open('$state'))['sampler_pid'])\")\" != $sampler ] && systemctl is-active memwatchd"

# ---- handing over

printf '#!/bin/sh\nbasename "$1" >> "$STATE_DIRECTORY/taken"\n' > /etc/memwatchd/collect
chmod 755 /etc/memwatchd/collect
expect "handing over is switched on" systemctl enable --now memwatchd-collect.path memwatchd-collect.timer
made=$(basename "$(memwatchd dump)")
soon "a new incident is handed over" has "$made" /var/lib/private/memwatchd-collect/taken
soon "and the old ones" has recorder_died /var/lib/private/memwatchd-collect/taken
expect "each once" is "$(sort /var/lib/private/memwatchd-collect/taken | uniq -d)" ""

# ---- drop-ins

mkdir -p /etc/systemd/system/memwatchd.service.d
fallocate -l 16M /var/lib/memwatchd/spare.swap && chmod 600 /var/lib/memwatchd/spare.swap && mkswap -q /var/lib/memwatchd/spare.swap
cat > $confd/60-swap.yaml <<'YAML'
rules:
  spare:
    when: meminfo.MemTotal > 1MiB
    cooldown: 1h
    actions: [{swap_on: {path: /var/lib/memwatchd/spare.swap}}]
YAML
refuse "check --unit says that swap_on takes a drop-in" memwatchd check --unit
cp /tmp/said refusal
expect "and which directive it is" has "swap_on: CAP_SYS_ADMIN: CapabilityBoundingSet= lacks it" refusal
cp /usr/share/memwatchd/drop-ins/swap.conf /etc/systemd/system/memwatchd.service.d/
systemctl daemon-reload
expect "with the drop-in it does not" memwatchd check --unit
expect "the service takes it" systemctl restart memwatchd
soon "swap is turned on" has spare.swap /proc/swaps
rm $confd/60-swap.yaml /etc/systemd/system/memwatchd.service.d/swap.conf
cp /usr/share/memwatchd/drop-ins/observe.conf /etc/systemd/system/memwatchd.service.d/
systemctl stop memwatchd-exporter
systemctl daemon-reload
expect "it observes as nobody in particular" systemctl restart memwatchd
refuse "swap was turned off" has spare.swap /proc/swaps
rm /var/lib/memwatchd/spare.swap
refuse "not as root" has "^Uid:[[:space:]]*0[[:space:]]" "/proc/$(systemctl show -P MainPID memwatchd)/status"
soon "with metrics" metric memwatchd_up '== 1'
soon "and everything it needs" sh -c "[ \"\$(python3 -c \"import json; print([each for each in json.load(open('$state'))['degraded'] if 'the rate gives way' not in each])\")\" = '[]' ]"
rm /etc/systemd/system/memwatchd.service.d/observe.conf
rmdir /etc/systemd/system/memwatchd.service.d
systemctl daemon-reload
expect "and goes back to acting" systemctl restart memwatchd
soon "as root" sh -c 'grep -q "^Uid:[[:space:]]*0[[:space:]]" /proc/$(systemctl show -P MainPID memwatchd)/status'

# ---- upgraded

systemctl start memwatchd-exporter
printf '# mine\n' >> /etc/memwatchd/memwatchd.yaml
kept=$(stat -c %i /run/memwatchd/ring)
before_s=$(uptime_s)
main=$(systemctl show -P MainPID memwatchd)
count=$(find /var/lib/memwatchd/incidents -name '*.mwi' | wc -l)
expect "the next version is installed" dpkg --force-confold --install second.deb
expect "the service runs" systemctl is-active memwatchd.service
refuse "as a new one" is "$(systemctl show -P MainPID memwatchd)" "$main"
expect "the ring was kept" is "$(stat -c %i /run/memwatchd/ring)" "$kept"
soon "and reaches back before the upgrade" reaches "$before_s"
expect "no incident was lost" is "$(find /var/lib/memwatchd/incidents -name '*.mwi' | wc -l)" "$count"
expect "my configuration was kept" has "# mine" /etc/memwatchd/memwatchd.yaml
soon "metrics are served" metric memwatchd_up '== 1'
soon "and they count" metric memwatchd_ticks_total '> 0'
scrape | sed -n 's/^memwatchd_\(build_info\|up\|ticks_total\|incidents_total\)[{ ].*/      &/p'
soon "the rule's change is in force" sh -c '[ "$(sysctl -n vm.swappiness)" = 7 ]'

# ---- removed and purged

expect "the package is removed" dpkg --remove memwatchd
refuse "nothing of it runs" pgrep -f memwatchd
settings > after.settings
expect "what was changed on the machine is put back" diff before.settings after.settings
expect "incidents stay" test -d /var/lib/memwatchd/incidents
expect "the package is purged" dpkg --purge memwatchd
systemctl daemon-reload
systemctl reset-failed || true
everything > after.files
expect "nothing is left of it" diff before.files after.files
refuse "not in /run either" test -e /run/memwatchd
expect "the machine is as well as before" is "$(systemctl is-system-running || true)" "$running"
echo "all is well"
