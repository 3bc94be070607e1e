package labtest

import (
	"testing"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// Claims about source ports.

// checkClientPorts checks that each client reports the source ports that its kernel
// chooses from, and that a client in lockstep can use reserved ones:
// ip_local_reserved_ports keeps the kernel from choosing a port, and no program
// from binding it (inet_csk_find_open_port, net/ipv4/inet_connection_sock.c).
func checkClientPorts(t *testing.T, s *labSuite) {
	for _, c := range s.Clients() {
		if got := c.Hello.LocalPorts; got == nil || *got != scenario.DefaultPorts {
			t.Errorf("%s reports the source ports %v, want the kernel's default %v", c.Name, got, scenario.DefaultPorts)
		}
	}
	reserved := scenario.Arm{Sysctls: scenario.Sysctls{Clients: []sysctl.Setting{{Name: "net.ipv4.ip_local_reserved_ports", Value: "3000-5999"}}}}
	s.withArm(t, reserved, func(lab.ArmRule) {
		const requests = 20
		server := s.listenNext(t)
		var ports [][]scenario.PortRange
		for _, r := range s.runLockstep(t, server, requests) {
			if r.BindErrors != 0 || probe.CountPorts(r.Ports) != requests {
				t.Errorf("left from %v, with %d ports that could not be bound", r.Ports, r.BindErrors)
			}
			ports = append(ports, r.Ports)
		}
		if _, err := s.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.forgetEntries(t, server, ports)
	})
}
