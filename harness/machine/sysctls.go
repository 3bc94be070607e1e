package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// raceSysctls are the sysctls that decide whether the race is hit, how long its
// traces stay, and what a client sees of it.
var raceSysctls = []string{
	"net.core.rps_default_mask",      // Linux 6.3
	"net.core.rps_sock_flow_entries", // of the first namespace only
	"net.core.somaxconn",
	"net.ipv4.ip_forward",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_timestamps",
	"net.ipv4.tcp_tw_reuse",
	"net.netfilter.nf_conntrack_buckets",
	"net.netfilter.nf_conntrack_checksum",
	"net.netfilter.nf_conntrack_max",
	"net.netfilter.nf_conntrack_tcp_be_liberal",
	"net.netfilter.nf_conntrack_tcp_timeout_close",
	"net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
	"net.netfilter.nf_conntrack_tcp_timeout_time_wait",
}

// ReadRaceSysctls reads the sysctls that matter for the race, in the network
// namespace of the calling thread, as [ReadSysctl] does. It leaves out those that
// the kernel or the namespace does not have.
func ReadRaceSysctls() map[string]string { return hostFiles.readSysctls(raceSysctls) }

// readSysctls reads sysctls by name, and leaves out those that cannot be read.
func (f fileTree) readSysctls(names []string) map[string]string {
	values := map[string]string{}
	for _, name := range names {
		if text, err := fs.ReadFile(f.root, sysctlFile(name)); err == nil {
			values[name] = JoinWords(string(text))
		}
	}
	return values
}

// sysctlFile returns the path of a sysctl below the root. As in sysctl(8), a slash
// in a name is a dot in the path: net.ipv4.conf.eth0/1.forwarding is of the VLAN
// eth0.1.
func sysctlFile(name string) string { return "proc/sys/" + sysctlPaths.Replace(name) }

var sysctlPaths = strings.NewReplacer(".", "/", "/", ".")

// sysctlPath returns the path of a sysctl on this machine.
func sysctlPath(name string) string { return "/" + sysctlFile(name) }

// JoinWords returns the words of a sysctl's value with one space between them.
func JoinWords(value string) string { return strings.Join(strings.Fields(value), " ") }

// ReadSysctl returns the value of a sysctl in the calling thread's namespace, with
// one space between its words.
func ReadSysctl(name string) (string, error) {
	text, err := os.ReadFile(sysctlPath(name))
	if err != nil {
		return "", fmt.Errorf("read sysctl: %w", err)
	}
	return JoinWords(string(text)), nil
}

// WriteSysctl sets a sysctl of the calling thread's namespace:
// "net.ipv4.ip_forward".
func WriteSysctl(name, value string) error {
	err := os.WriteFile(sysctlPath(name), []byte(value), 0)
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("set sysctl: %w (in a container: --security-opt systempaths=unconfined)", err)
	}
	if err != nil {
		return fmt.Errorf("set sysctl to %q: %w", value, err)
	}
	return nil
}

// ReplaceSysctl sets a sysctl, as [SetSysctl] does, and returns its old value.
func ReplaceSysctl(name, value string) (before string, err error) {
	if before, err = ReadSysctl(name); err != nil {
		return "", err
	}
	return before, SetSysctl(name, before, value)
}

// SetSysctl sets a sysctl to a value that must read as it was written: another
// value could not be distinguished, later, from one that another program has set.
// A value that reads otherwise is an error, and the value before is restored.
func SetSysctl(name, before, value string) error {
	if err := WriteSysctl(name, value); err != nil {
		return err
	}
	now, err := ReadSysctl(name)
	if err == nil && now != JoinWords(value) {
		err = fmt.Errorf("sysctl %s was set to %q and reads %q (write it as it reads)", name, value, now)
	}
	if err != nil {
		return errors.Join(err, WriteSysctl(name, before))
	}
	return nil
}

// RestoreSysctl sets a sysctl to its old value, unless another program has changed
// it since it was set. A sysctl that is gone, with its interface or its module,
// needs no restoring.
func RestoreSysctl(name, before, set string) error {
	now, err := ReadSysctl(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || now != JoinWords(set) {
		return err
	}
	return WriteSysctl(name, before)
}
