package scenario

import (
	"fmt"
	"testing"

	"snatlab/harness/result"
)

func TestGlobalSettings(t *testing.T) {
	t.Parallel()
	message := func(name, part, driver string) string {
		return fmt.Sprintf("%s: belongs to the whole machine, and sysctls.%s of a %s lab are those of a network namespace; allowed in sysctls.router of a docker lab, which are the host's, with lab: {allow_host_sysctls: true}", name, part, driver)
	}
	arms := func(part, name string) string {
		return fmt.Sprintf("name: s\narms:\n  - name: a\n    sysctls: {%s: {net.ipv4.tcp_timestamps: 0, %s: 1000}}\n", part, name)
	}
	for _, name := range []string{"net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets", "net.nf_conntrack_max",
		"net.core.default_qdisc", "net.core.rmem_max", "net.ipv4.tcp_mem", "net.ipv4.neigh.default.gc_thresh3"} {
		for _, test := range []struct {
			driver, part string
			column       int
		}{{result.DriverNetns, "router", 52}, {result.DriverNetns, "server", 52}, {result.DriverNetns, "clients", 53}, {result.DriverDocker, "server", 52}, {result.DriverDocker, "clients", 53}} {
			t.Run(test.driver+" "+test.part+" "+name, func(t *testing.T) {
				checkRefused(t, arms(test.part, name)+"driver: "+test.driver+"\n",
					fmt.Sprintf("x.yaml:4:%d: %s", test.column, message(name, test.part, test.driver)))
			})
		}
		t.Run("docker router "+name, func(t *testing.T) {
			s := parse(t, arms("router", name)+"driver: docker\nlab: {allow_host_sysctls: true}\n")
			want := "driver netns: " + message(name, "router", result.DriverNetns)
			if err := s.SetDriver(result.DriverNetns); fmt.Sprint(err) != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if s.Driver != result.DriverDocker {
				t.Errorf("the driver is %s after the error", s.Driver)
			}
		})
	}
	t.Run("those of a namespace are not refused", func(t *testing.T) {
		for _, name := range []string{"net.netfilter.nf_conntrack_tcp_timeout_close", "net.ipv4.neigh.eth0.gc_stale_time", "net.core.somaxconn", "net.ipv4.no_such_thing"} {
			parse(t, arms("router", name)+"driver: netns\n")
		}
	})
}
