package scenario

import "testing"

func TestCheckPorts(t *testing.T) {
	t.Parallel()
	const kept = " (one port in eight is kept for slots that are made up)"
	const split = "{name: c, client_ports: split}"
	ranged := func(value string) string {
		return "{name: c, sysctls: {clients: {net.ipv4.ip_local_port_range: " + value + "}}}"
	}
	for _, test := range []struct{ name, lines, arm, want string }{
		{"all clients in one slot", "load: {requests: 24704}\nclients: 1\n", "{name: c}",
			"x.yaml:3:18: requests: 24704 do not fit into the 28232 source ports that clients have, 32768-60999; allowed: at most 24703" + kept},
		{"each client its own", "load: {requests: 12352}\n", split,
			"x.yaml:3:18: requests: 12352 of each of 2 clients do not fit into the 28232 source ports that clients have, 32768-60999, where client_ports: split gives each client ports of its own; allowed: at most 12351" + kept},
		{"each client its own, by the number of clients", "clients: 10\n", split,
			"x.yaml:3:10: requests: 3000 of each of 10 clients do not fit into the 28232 source ports that clients have, 32768-60999, where client_ports: split gives each client ports of its own; allowed: at most 2470" + kept},
		{"an arm with a narrow range", "load: {requests: 701}\n", ranged("40000 40799"),
			"x.yaml:3:18: requests: 701 do not fit into the 800 source ports that clients have, 40000-40799; allowed: at most 700" + kept},
		{"the default number of requests", "", ranged("40000 40799"),
			"x.yaml:1:1: requests: 3000 do not fit into the 800 source ports that clients have, 40000-40799; allowed: at most 700" + kept},
		{"an arm with another range", "", ranged("1024 32767"),
			"x.yaml:3:79: net.ipv4.ip_local_port_range: the arms leave lockstep clients no source port that they have in all of them; allowed: ranges that overlap (without a setting it is 32768-60999)"},
		{"no range", "", ranged("32768-60999"),
			`x.yaml:3:79: net.ipv4.ip_local_port_range: "32768-60999" is not a range of ports; allowed: FIRST LAST, like 32768 60999`},
		{"a range beside client_ports", "load: {requests: 1}\n", "{name: c, client_ports: split, sysctls: {clients: {net.ipv4.ip_local_port_range: 40000 49999}}}",
			"x.yaml:4:70: net.ipv4.ip_local_port_range: stands beside client_ports, which sets it; allowed: one of them"},
		{"a range beside client_port_range", "load: {pattern: ephemeral}\n", "{name: c, client_port_range: 40000-49999, sysctls: {clients: {net.ipv4.ip_local_port_range: 40000 49999}}}",
			"x.yaml:4:81: net.ipv4.ip_local_port_range: stands beside client_port_range, which sets it; allowed: one of them"},
		{"a range that ends before it begins", "load: {pattern: ephemeral}\n", ranged("60999 32768"),
			`x.yaml:4:79: net.ipv4.ip_local_port_range: "60999 32768" is not a range of ports; allowed: FIRST LAST, like 32768 60999`},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkRefused(t, "name: s\n"+"driver: netns\n"+test.lines+"arms: [{name: a}, "+test.arm+"]\n", test.want)
		})
	}
	t.Run("what fits", func(t *testing.T) {
		for _, lines := range []string{
			"load: {requests: 12351}\narms: [{name: a}, " + split + "]\n",
			"load: {requests: 700}\narms: [{name: a}, " + ranged("40000 40799") + "]\n",
			"load: {requests: 12000}\nclients: 1\narms: [" + ranged("1024 65535") + "]\n",
			"load: {pattern: ephemeral, requests: 16000}\narms: [{name: a}, " + split + "]\n",
		} {
			parse(t, "name: s\n"+lines)
		}
	})
}

func TestMaxRequests(t *testing.T) {
	t.Parallel()
	const plain, split = "arms: [{name: a}]", "arms: [{name: a, client_ports: split}]"
	const wide = "arms: [{name: a, sysctls: {clients: {net.ipv4.ip_local_port_range: 1 65535}}}]"
	for _, test := range []struct {
		arms, others string
		want         int
	}{
		{plain, "clients: 1", 24703},
		{plain, "clients: 2", 16000},
		{plain, "clients: 64, load: {requests: 1}", 500},
		{plain, "clients: 1, load: {pattern: ephemeral}", 30000},
		{split, "clients: 2", 12351},
		{wide, "clients: 1", 30000},
	} {
		data := "{name: s, " + test.arms + ", " + test.others + "}"
		if got := parse(t, data).MaxRequests(); got != test.want {
			t.Errorf("%s: %d, want %d", data, got, test.want)
		}
	}
}
