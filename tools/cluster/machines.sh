# Machines of the cluster, and the programs on them. Sourced by cluster.

conf=/run/cluster/conf # as a machine sees it

# machines lists the machines that were started.
machines() {
	for file in $state/*/parent; do
		[ ! -e "$file" ] || basename "${file%/parent}"
	done
}

pid_of() { cat "$state/$1/pid"; }

# is_up reports whether a machine runs. Its process is known by the /run that it sees:
# after it has ended, its number may be that of another one.
is_up() {
	[ -e "$state/$1/pid" ] && [ -e "/proc/$(pid_of "$1")/root/run/cluster/bin/pause" ]
}

# is_down reports whether nothing of a machine is left, not even the process that waits
# for its first one.
is_down() { ! is_up "$1" && ! has_parent "$1"; }

has_parent() {
	tr '\0' ' ' <"/proc/$(cat "$state/$1/parent")/cmdline" 2>/dev/null | grep -q "/machine $1 $state/$1 "
}

# kill_machine MACHINE kills the first process of a machine, and with it all others. If
# it has none yet, its parent is killed, which takes it along.
kill_machine() {
	if is_up "$1"; then
		kill -KILL "$(pid_of "$1")"
	elif has_parent "$1"; then
		kill -KILL "$(cat "$state/$1/parent")"
	fi
}

# start_machine MACHINE
start_machine() {
	mkdir -p "$state/$1/conf" "$state/$1/log" "$state/$1/commands"
	chmod 700 $state
	# The signals of a terminal must not reach it, and it must not hold the lock.
	setsid unshare --mount --uts --net --pid --fork --kill-child "$here/machine" "$1" "$state/$1" "$programs" \
		</dev/null >"$state/$1/log/machine" 2>&1 9<&- &
	echo $! >"$state/$1/parent"
	await "machine $1" first_process "$1"
	in_network "$1" ip link set lo up
}

# first_process MACHINE finds the first process of a machine, and succeeds when it
# has become pause.
first_process() {
	pgrep -P "$(cat "$state/$1/parent")" >"$state/$1/new" && mv "$state/$1/new" "$state/$1/pid" && is_up "$1" &&
		[ "$(basename "$(readlink "/proc/$(pid_of "$1")/exe")")" = pause ]
}

# in_network MACHINE COMMAND... runs a command of this host in a machine's network.
in_network() {
	within=$(pid_of "$1")
	shift
	nsenter --target "$within" --net "$@" 9<&-
}

# in_machine MACHINE COMMAND... runs a command as one of the machine's.
in_machine() {
	within=$(pid_of "$1")
	shift
	nsenter --target "$within" --mount --uts --net --pid "$@" 9<&-
}

# start MACHINE PROGRAM COMMAND... starts a program of a machine. Its command is kept, so
# that it can be started again; no argument has a space.
start() {
	machine=$1 program=$2
	shift 2
	echo "$*" >"$state/$machine/commands/$program"
	launch "$machine" "$program"
}

# launch MACHINE PROGRAM starts a program with the command that was kept. The environment
# is empty: a proxy in it would stand between the programs.
launch() {
	# shellcheck disable=SC2016,SC2046 # expanded in the machine; words without spaces
	setsid nsenter --target "$(pid_of "$1")" --mount --uts --net --pid \
		env -i "PATH=/run/cluster/bin:$PATH" HOME=/root \
		sh -c 'echo $$ >"/run/cluster/pids/$0"; exec "$@"' "$2" $(cat "$state/$1/commands/$2") \
		</dev/null >>"$state/$1/log/$2" 2>&1 9<&- &
}

# is_gone MACHINE PID
is_gone() { ! in_machine "$1" kill -0 "$2" 2>/dev/null; }

# import MACHINE imports an archive of images from standard input.
import() { in_machine "$1" ctr -n k8s.io images import - >&2; }

kubectl() { NO_PROXY=$network.2 no_proxy=$network.2 "$(programs_folder)/kubernetes" kubectl --kubeconfig $kubeconfig "$@" 9<&-; }

# programs_folder prints the folder of the programs that the cluster was started with.
programs_folder() { cat $state/programs; }

# await WHAT COMMAND... waits until a command succeeds. There is no event to wait for.
await() {
	awaited=$1
	shift
	deadline=$(($(date +%s) + ${PATIENCE:-180}))
	until "$@" >/dev/null 2>&1; do
		if [ "$(date +%s)" -ge $deadline ]; then
			tail -n 5 $state/*/log/* >&2 || true
			fail "waited ${PATIENCE:-180} s for $awaited (the ends of all logs are above)"
		fi
		sleep 0.1
	done
}
