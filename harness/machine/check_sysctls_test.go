package machine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/netnstest"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// needNamespaces skips a test where no namespaces can be made.
func needNamespaces(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs network namespaces; make check leaves it out")
	}
	if err := doInNewNamespace(func() error { return nil }); err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
}

// A sysctl that an arm cannot set is reported before anything is built.
func TestCheckSysctls(t *testing.T) {
	needNamespaces(t)
	for _, test := range []struct{ name, driver, part, sysctl, value, want string }{
		{"one that can be set", result.DriverNetns, "router", "net.ipv4.tcp_timestamps", "0", ""},
		{"one of an interface that is not there yet", result.DriverNetns, "clients", "net.ipv4.conf.eth0.rp_filter", "2", ""},
		{"one of a neighbour table that is not there yet", result.DriverNetns, "server", "net.ipv4.neigh.eth0.gc_stale_time", "61", ""},
		{"one of all interfaces", result.DriverNetns, "router", "net.ipv4.conf.all.rp_filter", "2", ""},
		{"an unknown one", result.DriverNetns, "router", "net.ipv4.no_such_thing", "1",
			"arm a, sysctls.router: net.ipv4.no_such_thing: no network namespace of this machine has such a sysctl"},
		{"an unknown one of an interface", result.DriverNetns, "server", "net.ipv4.conf.eth0.no_such_thing", "1",
			"arm a, sysctls.server: net.ipv4.conf.eth0.no_such_thing: no network namespace of this machine has such a sysctl"},
		{"one that can only be read", result.DriverNetns, "clients", "net.netfilter.nf_conntrack_count", "1",
			"arm a, sysctls.clients: net.netfilter.nf_conntrack_count: it cannot be read and set in a network namespace: permission denied"},
		{"one that can only be written", result.DriverNetns, "clients", "net.ipv4.route.flush", "1",
			"arm a, sysctls.clients: net.ipv4.route.flush: it cannot be read and set in a network namespace: permission denied"},
		{"a value that the kernel refuses", result.DriverNetns, "router", "net.ipv4.tcp_timestamps", "many",
			`arm a, sysctls.router: set sysctl to "many": write /proc/sys/net/ipv4/tcp_timestamps: invalid argument`},
		{"a value that reads otherwise", result.DriverNetns, "router", "net.ipv4.ip_local_reserved_ports", "1000,1001",
			`arm a, sysctls.router: sysctl net.ipv4.ip_local_reserved_ports was set to "1000,1001" and reads "1000-1001" (write it as it reads)`},
		{"an unknown one of the host", result.DriverDocker, "router", "net.ipv4.no_such_thing", "1",
			"arm a, sysctls.router: net.ipv4.no_such_thing: this machine has no such sysctl"},
		{"one of a container", result.DriverDocker, "server", "net.ipv4.tcp_timestamps", "0", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.sysctl == "net.netfilter.nf_conntrack_count" {
				if _, err := os.Stat("/proc/sys/net/netfilter/nf_conntrack_count"); err != nil {
					t.Skip("nf_conntrack is not loaded")
				}
			}
			set := []sysctl.Setting{{Name: test.sysctl, Value: test.value}}
			arm := scenario.Arm{Name: "a"}
			*map[string]*[]sysctl.Setting{"router": &arm.Sysctls.Router, "server": &arm.Sysctls.Server, "clients": &arm.Sysctls.Clients}[test.part] = set
			p := CheckSysctls(&scenario.Scenario{Driver: test.driver, Arms: []scenario.Arm{{Name: "plain"}, arm}})
			switch {
			case test.want == "" && (p.State != Met || p.Found != "1 can be set"):
				t.Errorf("%v: %s", p.State, p.Found)
			case test.want != "" && (p.State != Unmet || p.Found != test.want):
				t.Errorf("%v: %s\nwant %s", p.State, p.Found, test.want)
			}
		})
	}
}

// Sysctls of the host are checked, and not set.
func TestCheckHostSysctls(t *testing.T) {
	needNamespaces(t)
	t.Run("one that can only be read is reported", func(t *testing.T) {
		err := doInNewNamespace(func() error {
			return trySysctls([]sysctl.Setting{{Name: "net.ipv4.tcp_available_congestion_control", Value: "reno"}}, true)
		})
		const want = "net.ipv4.tcp_available_congestion_control: it cannot be read and set here: permission denied (this program runs in a container, or not in the machine's first network namespace?)"
		if fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
	t.Run("one that can be set keeps its value", func(t *testing.T) {
		err := doInNewNamespace(func() error { // which is the host to it
			before, err := ReadSysctl("net.ipv4.tcp_timestamps")
			if err == nil {
				err = trySysctls([]sysctl.Setting{{Name: "net.ipv4.tcp_timestamps", Value: "0"}}, true)
			}
			if now, _ := ReadSysctl("net.ipv4.tcp_timestamps"); err == nil && now != before {
				err = fmt.Errorf("it was %s and is %s", before, now)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A sysctl that a namespace of this kernel can set is not refused by the table of
// those of the whole machine.
func TestGlobalSysctls(t *testing.T) {
	needNamespaces(t)
	var names []string
	err := doInNewNamespace(func() error {
		return filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name := strings.ReplaceAll(strings.TrimPrefix(path, "/proc/sys/"), "/", ".")
			if file, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
				file.Close()
				names = append(names, name)
			}
			return nil
		})
	})
	if err != nil || len(names) < 100 {
		t.Fatalf("%d sysctls, %v", len(names), err)
	}
	for _, name := range names {
		data := fmt.Sprintf("{name: s, driver: netns, load: {pattern: ephemeral}, arms: [{name: a, sysctls: {router: {%s: 1}}}]}", name)
		if _, err := scenario.Parse("x.yaml", []byte(data)); err != nil {
			t.Error(err)
		}
	}
}
