# The cgroups below which kubelets make those of Pods. Sourced by cluster.
#
# Machines have no cgroup namespaces: below one, version 2 would not let controllers be
# passed on while the machine's programs are in it.

cgroup=snatlab-cluster
root=/sys/fs/cgroup

is_v2() { [ -e $root/cgroup.controllers ]; }

# v1_folders lists where the hierarchies of version 1 are mounted.
v1_folders() { awk '$3 == "cgroup" {print $2}' /proc/self/mounts; }

# require_cgroups fails if the controllers that a kubelet needs are not there.
require_cgroups() {
	for controller in cpu cpuset memory pids; do
		if is_v2; then
			grep -qw $controller $root/cgroup.controllers
		else
			v1_folders | grep -q "[/,]$controller\(,\|\$\)"
		fi || fail "kubelet needs the cgroup controller $controller, which is not mounted below $root"
	done
}

# make_cgroup NAME/NODE makes the cgroup of a node, with all controllers.
make_cgroup() {
	if is_v2; then
		mkdir -p "$root/$1"
		pass_on $root
		pass_on "$root/${1%/*}"
		pass_on "$root/$1"
		return
	fi
	for folder in $(v1_folders); do
		for made in "$folder/${1%/*}" "$folder/$1"; do
			mkdir -p "$made"
			# A cpuset begins without CPUs and memory, and no process can enter it.
			for file in cpuset.cpus cpuset.mems; do
				[ ! -e "$made/$file" ] || cat "${made%/*}/$file" >"$made/$file"
			done
		done
	done
}

# pass_on FOLDER enables the controllers of a cgroup for its children. At the root, those
# that were not enabled before are noted, to be disabled again.
pass_on() {
	for controller in $(cat "$1/cgroup.controllers"); do
		if grep -qw "$controller" "$1/cgroup.subtree_control"; then continue; fi
		if ! echo "+$controller" >"$1/cgroup.subtree_control"; then
			say "cgroup controller $controller cannot be enabled in $1"
			continue
		fi
		[ "$1" != $root ] || echo "$controller" >>$state/controllers
	done
}

# remove_cgroups removes the cgroups of all nodes. Their processes have been killed, but
# may not be gone yet. runc makes some in the hierarchy of version 2 as well, if there is
# one beside version 1.
remove_cgroups() {
	for folder in $(awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/self/mounts); do
		[ ! -e "$folder/$cgroup" ] || await "cgroup $folder/$cgroup to be empty" remove_cgroup "$folder/$cgroup"
	done
	[ ! -e $state/controllers ] || while read -r controller; do
		echo "-$controller" >$root/cgroup.subtree_control || true
	done <$state/controllers
}

remove_cgroup() {
	find "$1" -depth -type d -exec rmdir {} +
}
