package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/scenario/strictyaml"
)

const (
	allowedName  = "at most 63 lower-case letters, digits, dots and dashes, the first a letter or a digit"
	allowedRoot  = "arms, clients, dnat, driver, expect, kubernetes, lab, load, name, nat, network, rounds, seed, server, until"
	allowedLoad  = "close, concurrency, hold, pattern, protocol, rate, requests, sync, threads, timeout"
	allowedTime  = "10ms to 900ms (below the 1 s after which the kernel sends a SYN again)"
	allowedPeer  = "IPv4:port of another machine, like 192.0.2.7:9000"
	dockerNAT    = `nat: "nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`
	netnsServer  = "server.address: a netns lab is closed and reaches no other machine; allowed with drivers docker and kubernetes"
	netnsNetwork = "network: a netns lab has a network of its own; allowed with driver docker"
	sharedRule   = "network: the masquerade rule of a network that others use is rewritten during trials; allowed with lab: {allow_shared_network: true}"
	hostSysctl   = "sysctls.router: sets a sysctl of the host; allowed with lab: {allow_host_sysctls: true}"
	allowedShare = `">=0%" to ">=100%", with at most three decimals`
	allowedArm   = "client_port_range, client_ports, masquerade, name, notrack, resolver, snat, sysctls"
	allowedNAT   = "FIRST-LAST out of 1024 to 65535 (NAT keeps lower ports apart)"
	sysctlWords  = "names below net., like net.ipv4.tcp_timestamps"
	allowedValue = "a whole number, or one line of at most 128 ASCII characters"
	claimed      = "race, reduction, p50, p99, unexplained, filtered, port_exhaustion, table_full"
)

// checkRefused checks that data has exactly these lines of faults.
func checkRefused(t *testing.T, data string, want ...string) {
	t.Helper()
	s, err := Parse("x.yaml", []byte(data))
	if s != nil {
		t.Errorf("a scenario beside the faults of:\n%s", data)
	}
	if err == nil {
		t.Fatalf("no fault in:\n%s", data)
	}
	if _, ok := errors.AsType[strictyaml.Faults](err); !ok {
		t.Errorf("%T is not Faults", err)
	}
	if d := cmp.Diff(want, strings.Split(err.Error(), "\n")); d != "" {
		t.Errorf("%s\nof:\n%s", d, data)
	}
	checkSchemaRefuses(t, data, want)
}

// All faults are reported at once, in the order of the file.
func TestParseAllFaults(t *testing.T) {
	t.Parallel()
	checkRefused(t, `name: Five faults
clients: two
load:
  pattern: lockstep
  requets: 3000
  timeout: 1s
arms:
  - name: a
expect:
  - {arm: b, race: reproduced}
`,
		`x.yaml:1:7: name: 'F' at character 1 is not allowed; allowed: `+allowedName,
		`x.yaml:2:10: clients: "two" is not a whole number; allowed: 1 to 64`,
		`x.yaml:5:3: unknown key "requets" in load; allowed: `+allowedLoad+` (did you mean "requests"?)`,
		`x.yaml:6:12: timeout: 1s is out of range; allowed: `+allowedTime,
		`x.yaml:10:11: arm: "b" is no arm of this scenario; allowed: a`,
	)
}

// A fault of a value names the allowed values. Each of these lines is the third,
// after minimal.
func TestParseBadValues(t *testing.T) {
	t.Parallel()
	const number, out = " is not a whole number; allowed: ", " is out of range; allowed: "
	for _, c := range []struct{ line, want string }{
		{"clients: two", `3:10: clients: "two"` + number + "1 to 64"},
		{"clients: 0", `3:10: clients: 0` + out + "1 to 64"},
		{"clients: 65", `3:10: clients: 65` + out + "1 to 64"},
		{"clients: 300", `3:10: clients: 300` + out + "1 to 64"},
		{"clients: -1", `3:10: clients: -1` + out + "1 to 64"},
		{"clients: 2.0", `3:10: clients: "2.0"` + number + "1 to 64"},
		{"clients: 1e1", `3:10: clients: "1e1"` + number + "1 to 64"},
		{"clients: true", `3:10: clients: "true"` + number + "1 to 64"},
		{"clients: '2'", `3:10: clients: "2" in quotes is text, not a whole number; allowed: 1 to 64`},
		{"clients: [2]", `3:10: clients: a list` + number + "1 to 64"},
		{"clients: {a: 2}", `3:10: clients: a mapping` + number + "1 to 64"},
		{"clients:", `3:9: clients: is empty; allowed: 1 to 64`},
		{"clients: ~", `3:10: clients: is empty; allowed: 1 to 64`},
		{"clients: " + strings.Repeat("9", 50), `3:10: clients: ` + strings.Repeat("9", 40) + `...` + out + "1 to 64"},
		{"clients: " + strings.Repeat("é", 50), `3:10: clients: "` + strings.Repeat("é", 20) + `..."` + number + "1 to 64"},
		{"until: 1000", `3:8: until: "1000" is not a mapping; allowed: a mapping of hits, rounds_max, time_max`},
		{"until: {hits: 0}", `3:15: hits: 0` + out + "1 to 1000000"},
		{"until: {hits: 1e3}", `3:15: hits: "1e3"` + number + "1 to 1000000"},
		{"until: {rounds: 9}", `3:9: unknown key "rounds" in until; allowed: hits, rounds_max, time_max`},
		{"until: {rounds_max: 1001}", `3:21: rounds_max: 1001` + out + "1 to 1000"},
		{"rounds: 8\nuntil: {rounds_max: 7}", `4:21: rounds_max: 7 is below the least number of rounds, 8 at line 3; allowed: 8 to 1000`},
		{"until: {time_max: 5}", `3:19: time_max: "5" is not a duration like 500ms; allowed: 1s to 24h (the least number of rounds is made whatever it takes)`},
		{"until: {time_max: 10ms}", `3:19: time_max: 10ms is out of range; allowed: 1s to 24h (the least number of rounds is made whatever it takes)`},
		{"load: {pattern: ephemeral}\nuntil: {hits: 9}", `4:1: until: counts the hits of the control, which trials of pattern ephemeral do not have; allowed: rounds, which is then the exact number of rounds`},
		{"rounds: 1001", `3:9: rounds: 1001` + out + "1 to 1000"},
		{"seed: 0x10", `3:7: seed: "0x10"` + number + "0 to 9223372036854775807"},
		{"seed: 1_000", `3:7: seed: "1_000"` + number + "0 to 9223372036854775807"},
		{"seed: 010", `3:7: seed: "010"` + number + "0 to 9223372036854775807"},
		{"seed: 0o10", `3:7: seed: "0o10"` + number + "0 to 9223372036854775807"},
		{"seed: +1", `3:7: seed: "+1"` + number + "0 to 9223372036854775807"},
		{"seed: -0", `3:7: seed: "-0"` + number + "0 to 9223372036854775807"},
		{"seed: 9223372036854775808", `3:7: seed: 9223372036854775808` + out + "0 to 9223372036854775807"},

		{"driver: podman", `3:9: driver: "podman" is not allowed; allowed: docker, netns, kubernetes`},
		{"driver: Docker", `3:9: driver: "Docker" is not allowed; allowed: docker, netns, kubernetes (did you mean "docker"?)`},
		{"driver: netn", `3:9: driver: "netn" is not allowed; allowed: docker, netns, kubernetes (did you mean "netns"?)`},
		{"driver: [docker]", `3:9: driver: a list is not allowed; allowed: docker, netns, kubernetes`},
		{"nat: nft", `3:6: nat: "nft" is not allowed; allowed: iptables, nftables`},
		{"nat: iptable", `3:6: nat: "iptable" is not allowed; allowed: iptables, nftables (did you mean "iptables"?)`},
		{"nat: true", `3:6: nat: "true" is not allowed; allowed: iptables, nftables`},
		{"nat: {program: iptables}", `3:6: nat: a mapping is not allowed; allowed: iptables, nftables`},
		{"nat:", `3:5: nat: is empty; allowed: iptables, nftables`},
		{"load: {protocol: sctp}", `3:18: protocol: "sctp" is not allowed; allowed: tcp, udp (did you mean "tcp"?)`},
		{"load: {pattern: locstep}", `3:17: pattern: "locstep" is not allowed; allowed: lockstep, ephemeral, dns (did you mean "lockstep"?)`},
		{"load: {sync: none}", `3:14: sync: "none" is not allowed; allowed: barrier, clock`},
		{"load: {requests: 30001, pattern: x}", `3:18: requests: 30001` + out + `1 to 30000
x.yaml:3:34: pattern: "x" is not allowed; allowed: lockstep, ephemeral, dns`},
		{"load: {pattern: ephemeral, concurrency: 4097}", `3:41: concurrency: 4097` + out + "1 to 4096"},
		{"load: {rate: 0}", `3:14: rate: 0` + out + "max, or 1 to 100000"},
		{"load: {rate: 100001}", `3:14: rate: 100001` + out + "max, or 1 to 100000"},
		{"load: {rate: Max}", `3:14: rate: "Max"` + number + "max, or 1 to 100000"},
		{"load: {timeout: 500}", `3:17: timeout: "500" is not a duration like 500ms; allowed: ` + allowedTime},
		{"load: {hold: 2m}", `3:14: hold: 2m` + out + `1ms to 1m (connections that are open still at the end of a trial are reset)`},
		{"load: {timeout: 9ms}", `3:17: timeout: 9ms` + out + allowedTime},
		{"load: {timeout: 900001us}", `3:17: timeout: 900001us` + out + allowedTime},
		{"load: fast", `3:7: load: "fast" is not a mapping; allowed: a mapping of ` + allowedLoad},
		{"load: []", `3:7: load: a list is not a mapping; allowed: a mapping of ` + allowedLoad},
		{"load:", `3:6: load: is empty; allowed: a mapping of ` + allowedLoad},

		{"server: {}", `3:9: server: nothing is set; allowed: one of address, accept_source_ports`},
		{"server: {accept_source_ports: 0-65535}", `3:31: accept_source_ports: "0-65535" is not a range of ports; allowed: FIRST-LAST out of 1 to 65535`},
		{"server: {accept_source_ports: 32768-65536}", `3:31: accept_source_ports: 32768-65536 is out of range; allowed: FIRST-LAST out of 1 to 65535`},
		{"server: {address: 192.0.2.7:9000, accept_source_ports: 32768-65535}", `3:35: accept_source_ports: the server is on another machine, where snatlab adds no rule; allowed with a server of the lab's own`},
		{"server: {accept_source_ports: 40000-65535}", `3:31: accept_source_ports: 40000-65535 leaves out source ports of the clients, 32768-60999, which plain masquerade keeps: it would lose all of their requests; allowed: a range that holds them`},
		{"load: {pattern: ephemeral}\nserver: {accept_source_ports: 1024-60998}", `4:31: accept_source_ports: 1024-60998 leaves out source ports of the clients, 32768-60999, which plain masquerade keeps: it would lose all of their requests; allowed: a range that holds them`},
		{"load: {close: half}", `3:15: close: "half" is not allowed; allowed: reset, fin, fin-server`},
		{"expect: [{arm: b, filtered: '>=40%'}]", `3:19: filtered: nothing drops requests for their source ports; allowed with server: {accept_source_ports: FIRST-LAST}`},
		{"server: {address: example.com:80}", `3:19: address: "example.com:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{"server: {address: 192.0.2.7}", `3:19: address: "192.0.2.7" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{`server: {address: "[2001:2::1]:80"}`, `3:19: address: "[2001:2::1]:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{`server: {address: "[::ffff:192.0.2.7]:80"}`, `3:19: address: "[::ffff:192.0.2.7]:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{"server: {address: 192.0.2.7:0}", `3:19: address: "192.0.2.7:0" has port 0; allowed: ` + allowedPeer},
		{"server: {address: 127.0.0.53:80}", `3:19: address: "127.0.0.53:80" is loopback, which no masquerade rule leads to; allowed: ` + allowedPeer},
		{"server: {address: 0.0.0.0:80}", `3:19: address: "0.0.0.0:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 0.0.0.1:80}", `3:19: address: "0.0.0.1:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 0.255.255.255:80}", `3:19: address: "0.255.255.255:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 239.255.255.255:80}", `3:19: address: "239.255.255.255:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 192.0.2.7:65535}", `3:19: address: 0 ports follow 65535, and 123 are needed for 60 rounds of 2 arms, one for each trial, for the warm-up, for the path check and for the control; allowed: a port up to 65412`},
		{"rounds: 1\nuntil: {rounds_max: 1}\nserver: {address: 192.0.2.7:65534}", `5:19: address: 1 port follows 65534, and 5 are needed for 1 round of 2 arms, one for each trial, for the warm-up, for the path check and for the control; allowed: a port up to 65530`},
		{"server: {address: 192.0.2.7:65413}", `3:19: address: 122 ports follow 65413, and 123 are needed for 60 rounds of 2 arms, one for each trial, for the warm-up, for the path check and for the control; allowed: a port up to 65412`},
		{"load: {pattern: ephemeral}\nserver: {address: 192.0.2.7:65519}", `4:19: address: 16 ports follow 65519, and 26 are needed for 12 rounds of 2 arms, one for each trial, for the warm-up and for the path check; allowed: a port up to 65509`},
		{"server: {address: 224.0.0.1:80}", `3:19: address: "224.0.0.1:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 255.255.255.255:80}", `3:19: address: "255.255.255.255:80" is not the address of one machine; allowed: ` + allowedPeer},

		{"lab: {postrouting_rules: 20001}", `3:26: postrouting_rules: 20001` + out + "0 to 20000"},
		{"lab: {postrouting_rules: -1}", `3:26: postrouting_rules: -1` + out + "0 to 20000"},
		{"driver: netns\nlab: {conntrack_max: 63}", `4:22: conntrack_max: 63` + out + `64 to 262144`},
		{"lab: {allow_host_sysctls: yes}", `3:27: allow_host_sysctls: "yes" is not a boolean; allowed: true, false`},
		{"lab: {rules: 1}", `3:7: unknown key "rules" in lab; allowed: allow_host_sysctls, allow_shared_network, conntrack_max, family, postrouting_rules`},
		{"lab: netns", `3:6: lab: "netns" is not a mapping; allowed: a mapping of allow_host_sysctls, allow_shared_network, conntrack_max, family, postrouting_rules`},

		{"expect:", `3:8: expect: is empty; allowed: a list of 0 to 96`},
		{"expect: {arm: a}", `3:9: expect: a mapping is not a list; allowed: a list of 0 to 96`},
		{"expect: [a]", `3:10: expect: "a" is not a mapping; allowed: a mapping of arm, filtered, p50, p99, port_exhaustion, race, reduction, table_full, unexplained`},
		{"expect: [{race: absent}]", `3:10: arm: is missing; allowed: the name of an arm`},
		{"expect: [{arm: 1, race: absent}]", `3:16: arm: 1 is not text (put it in quotes); allowed: the name of an arm`},
		{"expect: [{arm: [a], race: absent}]", `3:16: arm: a list is not text; allowed: the name of an arm`},
		{"expect: [{arm: a, race: seen}]", `3:25: race: "seen" is not allowed; allowed: reproduced, absent`},
		{"expect: [{arm: b, reduction: 95%}]", `3:30: reduction: "95%" is not allowed; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: 0.95}]", `3:30: reduction: "0.95" is not allowed; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '>=101%'}]", `3:30: reduction: ">=101%" is out of range; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '>=99.9999%'}]", `3:30: reduction: ">=99.9999%" is not allowed; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '<=95%'}]", `3:30: reduction: "<=95%" is not allowed; allowed: ` + allowedShare},
		{"expect: [{arm: b, p50: '>=5%'}]", `3:24: p50: ">=5%" is not allowed; allowed: "<=0%" to "<=1000%", with at most three decimals`},
		{"expect: [{arm: b, p50: 5%}]", `3:24: p50: "5%" is not allowed; allowed: "<=0%" to "<=1000%", with at most three decimals`},
		{"expect: [{arm: b, p99: <=1000.001%}]", `3:24: p99: "<=1000.001%" is out of range; allowed: "<=0%" to "<=1000%", with at most three decimals`},
		{"expect: [{arm: b, unexplained: <=100.1%}]", `3:32: unexplained: "<=100.1%" is out of range; allowed: "<=0%" to "<=100%", with at most three decimals`},
		{"expect: [{arm: b, unexplained: 0}]", `3:32: unexplained: "0" is not allowed; allowed: "<=0%" to "<=100%", with at most three decimals`},
		{"expect: [{arm: b, reduction: '>=-1%'}]", `3:30: reduction: ">=-1%" is not allowed; allowed: ` + allowedShare},
	} {
		checkRefused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

// Fields that cannot be combined are faults.
func TestParseFieldConflicts(t *testing.T) {
	t.Parallel()
	const share = "(they share the 64512 source ports of one address)"
	for _, c := range []struct{ line, want string }{
		{"load: {pattern: ephemeral, sync: clock}", `3:28: sync: belongs to pattern lockstep; the pattern here is ephemeral`},
		{"load: {protocol: udp, hold: 1s, close: reset}", `3:23: hold: a datagram opens no connection; allowed with protocol tcp
x.yaml:3:33: close: a datagram opens no connection; allowed with protocol tcp`},
		{"load: {close: fin}", `3:8: close: fin leaves TIME_WAIT, which the control of the next trial would meet, since its server port is the same; allowed with pattern ephemeral`},
		{"load: {pattern: dns, hold: 1s}", `3:22: hold: a datagram opens no connection; allowed with protocol tcp`},
		{"load: {concurrency: 5}", `3:8: concurrency: belongs to pattern ephemeral; the pattern here is lockstep`},
		{"load: {pattern: dns, concurrency: 5}", `3:22: concurrency: belongs to pattern ephemeral; the pattern here is dns`},
		{"load: {threads: 2}", `3:8: threads: belongs to pattern dns; the pattern here is lockstep`},
		{"load: {pattern: dns, threads: 3}", `3:31: threads: 3 is out of range; allowed: 1 to 2`},
		{"load: {pattern: dns, protocol: tcp}", `3:32: protocol: look-ups are made over udp; allowed: udp, and over TCP an arm with resolver: use-vc`},
		{"load: {requests: 20000}", `3:18: 2 clients x 20000 requests are 40000 in one trial; allowed: 32000 ` + share},
		{"clients: 64", `3:10: 64 clients x 3000 requests are 192000 in one trial; allowed: 32000 ` + share},
		{"{clients: 64, load: {requests: 501}}", `3:32: 64 clients x 501 requests are 32064 in one trial; allowed: 32000 ` + share},
		{"expect: [{arm: bb, race: absent}]", `3:16: arm: "bb" is no arm of this scenario; allowed: a, b (did you mean "b"?)`},
		{"expect: [{arm: a, reduction: '>=95%'}]", `3:16: arm: "a" is the baseline; a reduction is that of another arm`},
		{"expect: [{arm: a, p50: '<=5%'}]", `3:16: arm: "a" is the baseline; a rise of p50 is measured against it`},
		{"expect: [{arm: a, p99: '<=5%'}]", `3:16: arm: "a" is the baseline; a rise of p99 is measured against it`},
		{"expect: [{arm: b, p99: '<=5%', unexplained: '<=1%', p50: '<=5%'}]", `3:32: unexplained: cannot be given together with p99; allowed: one of ` + claimed +
			"\nx.yaml:3:53: p50: cannot be given together with p99; allowed: one of " + claimed},
		{"expect: [{arm: b}]", `3:10: expect: nothing is expected of the arm; allowed: one of ` + claimed},
		{"expect: [{arm: b, race: absent, reduction: '>=1%'}]", `3:33: reduction: cannot be given together with race; allowed: one of ` + claimed},
	} {
		data := minimal + c.line + "\n"
		if strings.HasPrefix(c.line, "{") {
			data = "\n\n" + strings.TrimSuffix(c.line, "}") + ", name: s, arms: [{name: a}]}\n"
		}
		checkRefused(t, data, strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

// A setting that the driver does not support is a fault at its key.
func TestParseDriverLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lines, want string }{
		{"nat: nftables", "3:1: " + dockerNAT},
		{"driver: docker\nnat: 'nftables'", "4:1: " + dockerNAT},
		{"nat: nftables\ndriver: docker", "3:1: " + dockerNAT},
		{"driver: netns\nserver: {address: 192.0.2.7:9000}", "4:10: " + netnsServer},
		{"lab: {conntrack_max: 300}", "3:7: lab.conntrack_max: the conntrack table would be that of the whole machine; allowed with driver netns, in the guests of snatlab matrix"},
		{"driver: kubernetes\nlab: {conntrack_max: 300}", "4:7: lab.conntrack_max: the conntrack table would be that of the whole machine; allowed with driver netns, in the guests of snatlab matrix"},
		{"driver: netns\nnetwork: bridge\nlab: {allow_shared_network: true}", "4:1: " + netnsNetwork},
		{"driver: netns\nnat: iptables\nserver:\n  address: 192.0.2.7:9000", "6:3: " + netnsServer},
		// The value of the key has a fault of its own.
		{"driver: netns\nserver: {address: nowhere}", "4:19: address: \"nowhere\" is not an IPv4 address with a port; allowed: " + allowedPeer},
		{"driver: kubernetes\nserver: {accept_source_ports: 32768-65535}", "4:10: server.accept_source_ports: a kubernetes lab adds no rules to Pods; allowed with drivers docker and netns"},
	} {
		checkRefused(t, minimal+c.lines+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

// Sysctls of the host are a fault unless they are allowed.
func TestParseHostSysctls(t *testing.T) {
	t.Parallel()
	const arms = `name: s
arms:
  - {name: a, sysctls: {clients: {net.ipv4.tcp_timestamps: 0}, router: {net.ipv4.ip_forward: 1}}}
  - {name: b, sysctls: {server: {net.ipv4.tcp_timestamps: 0}}}
  - name: c
    sysctls:
      router: {net.ipv4.ip_forward: 1}
`
	faults := []string{"x.yaml:3:64: " + hostSysctl, "x.yaml:7:7: " + hostSysctl}
	checkRefused(t, arms, faults...)
	checkRefused(t, arms+"driver: docker\nlab: {allow_host_sysctls: false}\n", faults...)
	parse(t, arms+"lab: {allow_host_sysctls: true}\n")
	parse(t, arms+"driver: netns\n")
	parse(t, arms+"driver: netns\nlab: {allow_host_sysctls: true}\n")

	// It is unknown whether they are allowed, or which ones are set.
	checkRefused(t, arms+"lab: {allow_host_sysctls: yes}\n",
		`x.yaml:8:27: allow_host_sysctls: "yes" is not a boolean; allowed: true, false`)
	checkRefused(t, arms+"lab: [allow_host_sysctls]\n",
		`x.yaml:8:6: lab: a list is not a mapping; allowed: a mapping of allow_host_sysctls, allow_shared_network, conntrack_max, family, postrouting_rules`)
	checkRefused(t, "name: s\narms: [{name: a, sysctls: {router: all}}]\n",
		`x.yaml:2:36: router: "all" is not a mapping; allowed: a mapping of at most 32 sysctls`)
}

// A network that others use is a fault unless it is allowed.
func TestParseSharedNetwork(t *testing.T) {
	t.Parallel()
	checkRefused(t, minimal+"network: bridge\n", "x.yaml:3:1: "+sharedRule)
	checkRefused(t, minimal+"lab: {allow_shared_network: false}\nnetwork: bridge\n", "x.yaml:4:1: "+sharedRule)
	checkRefused(t, minimal+"lab: {allow_host_sysctls: true}\nnetwork: bridge\n", "x.yaml:4:1: "+sharedRule)
	parse(t, minimal+"network: bridge\nlab: {allow_shared_network: true}\n")
	parse(t, minimal+"network: My_shop.default-1\nlab: {allow_shared_network: true}\nserver: {address: 192.0.2.7:9000}\n")
	parse(t, minimal+"lab: {allow_shared_network: true}\n") // without a network
	parse(t, minimal+"driver: netns\nlab: {allow_shared_network: true}\n")

	// It is unknown whether the network is allowed.
	checkRefused(t, minimal+"network: bridge\nlab: {allow_shared_network: yes}\n",
		`x.yaml:4:29: allow_shared_network: "yes" is not a boolean; allowed: true, false`)
	// The network is unknown.
	for name, wrong := range map[string]string{
		"": `"" is not allowed`, "-a": "'-' at character 1 is not allowed", "container:a": "':' at character 10 is not allowed",
		"a/b": "'/' at character 2 is not allowed", "a b": "' ' at character 2 is not allowed", strings.Repeat("a", 129): `"` + strings.Repeat("a", 40) + `..." has 129 characters`,
	} {
		checkRefused(t, minimal+"network: '"+name+"'\n", "x.yaml:3:10: network: "+wrong+"; allowed: the name of a Docker network, like bridge")
	}
	checkRefused(t, minimal+"network: [bridge]\n", "x.yaml:3:10: network: a list is not text; allowed: the name of a Docker network, like bridge")
	checkRefused(t, minimal+"network:\n", "x.yaml:3:9: network: is empty; allowed: the name of a Docker network, like bridge")
}

// A setting that would cut off the other containers of a shared network is a
// fault.
func TestParseSharedConflicts(t *testing.T) {
	t.Parallel()
	const others = `name: s
lab: {postrouting_rules: 1, allow_shared_network: true}
arms:
  - {name: a, snat: {to_source: [198.19.0.1]}}
  - {name: b, masquerade: {random_fully: true, to_ports: 20000-29999}}
`
	parse(t, others)
	checkRefused(t, others+"network: bridge\n",
		"x.yaml:2:7: postrouting_rules: the rules would slow down the other containers of the network; allowed without network",
		"x.yaml:4:15: snat: the other containers of the network would leave from these addresses, which lead nowhere, as well; allowed without network",
		"x.yaml:5:48: to_ports: the rule would be for TCP alone, and leave the other containers of the network without UDP; allowed without network")
	parse(t, "name: s\nnetwork: n\nlab: {postrouting_rules: 0, allow_shared_network: true}\narms: [{name: a, masquerade: {random: true}, client_ports: split}]\n")
}

// A setting that is impossible with a server on another machine is a fault.
func TestParseRemoteServer(t *testing.T) {
	t.Parallel()
	checkRefused(t, `name: s
server: {address: 192.0.2.7:9000}
arms:
  - {name: a, snat: {to_source: [198.19.0.1]}}
  - {name: b, sysctls: {clients: {net.ipv4.tcp_timestamps: 0}, server: {net.ipv4.tcp_timestamps: 0}}}
`,
		"x.yaml:4:15: snat: its addresses go onto the lab's own interface, and the server is on another machine; allowed with a server of the lab's own",
		"x.yaml:5:64: sysctls.server: the server is on another machine; allowed with a server of the lab's own")
	// It is unknown whether there is a server.
	checkRefused(t, "name: s\nserver:\narms: [{name: a, snat: {to_source: [198.19.0.1]}}]\n",
		"x.yaml:2:8: server: is empty; allowed: a mapping of accept_source_ports, address")
}

func TestParseBadSysctls(t *testing.T) {
	t.Parallel()
	const value, name = "; allowed: " + allowedValue, "; allowed: " + sysctlWords
	long := strings.Repeat("v", 129)
	for _, c := range []struct{ clients, want string }{
		{"all", `2:37: clients: "all" is not a mapping; allowed: a mapping of at most 32 sysctls`},
		{"", `2:37: clients: is empty; allowed: a mapping of at most 32 sysctls`},
		{"{kernel.panic: 1}", `2:38: "kernel.panic" in clients is not allowed` + name},
		{"{network.x: 1}", `2:38: "network.x" in clients is not allowed` + name},
		{"{net: 1}", `2:38: "net" in clients is not allowed` + name},
		{"{net.: 1}", `2:38: "net." in clients is not allowed` + name},
		{"{net..x: 1}", `2:38: "net..x" in clients is not allowed` + name},
		{"{net.x.: 1}", `2:38: "net.x." in clients is not allowed` + name},
		{"{net.../kernel/panic: 1}", `2:38: "net.../kernel/panic" in clients is not allowed` + name},
		{"{net/ipv4/tcp_timestamps: 1}", `2:38: "net/ipv4/tcp_timestamps" in clients is not allowed` + name},
		{`{"net.x\n": 1}`, `2:38: "net.x\n" in clients is not allowed` + name},
		{"{net.x y: 1}", `2:38: "net.x y" in clients is not allowed` + name},
		{"{[net.x]: 1}", `2:38: a list is not a key` + name},
		{"{!x net.x: 1}", `2:38: tags are not allowed`},
		{"{<<: {net.x: 1}}", `2:38: merge keys are not allowed`},
		{"{net.x: 1, net.x: 2}", `2:48: key "net.x" is already at line 2`},
		{"{net.x: 1.5}", `2:45: net.x: 1.5 is neither a whole number nor text (put it in quotes)` + value},
		{"{net.x: true}", `2:45: net.x: true is neither a whole number nor text (put it in quotes)` + value},
		{"{net.x: 010}", `2:45: net.x: 010 is neither a whole number nor text (put it in quotes)` + value},
		{"{net.x: 0x10}", `2:45: net.x: 0x10 is neither a whole number nor text (put it in quotes)` + value},
		{"{net.x: ~}", `2:45: net.x: is empty` + value},
		{"{net.x: ''}", `2:45: net.x: "" is not allowed` + value},
		{"{net.x: ' 1'}", `2:45: net.x: " 1" is not allowed` + value},
		{`{net.x: "1\n"}`, `2:45: net.x: "1\n" is not allowed` + value},
		{`{net.x: "1\t2"}`, `2:45: net.x: "1\t2" is not allowed` + value},
		{"{net.x: é}", `2:45: net.x: "é" is not allowed` + value},
		{"{net.x: [1]}", `2:45: net.x: a list is not a value` + value},
		{"{net.x: !x 1}", `2:45: net.x: tags are not allowed`},
		{"{net.x: " + long + "}", `2:45: net.x: "` + long[:40] + `..." is not allowed` + value},
		{"{net." + strings.Repeat("p", 65) + ": 1}", `2:38: "net.` + strings.Repeat("p", 36) + `..." in clients is not allowed` + name},
		{"{" + strings.Repeat("net.x: 1, ", 33) + "}", `2:37: clients: has 33 entries; allowed: a mapping of at most 32 sysctls`},
	} {
		checkRefused(t, "name: s\narms: [{name: a, sysctls: {clients: "+c.clients+"}}]\n", "x.yaml:"+c.want)
	}
}

func TestParseBadArms(t *testing.T) {
	t.Parallel()
	const allowed = "; allowed: a list of 1 to 32"
	const consecutive = "; allowed: consecutive addresses in ascending order, none twice (iptables takes a range only)"
	for _, c := range []struct{ line, want string }{
		{"seed: 1", `1:1: arms: is missing` + allowed},
		{"arms: []", `2:7: arms: is empty` + allowed},
		{"arms:", `2:6: arms: is empty` + allowed},
		{"arms: a", `2:7: arms: "a" is not a list` + allowed},
		{"arms: [{}]", `2:8: name: is missing; allowed: ` + allowedName},
		{"arms: [{name: 1}]", `2:15: name: 1 is not text (put it in quotes); allowed: ` + allowedName},
		{"arms: [{name: true}]", `2:15: name: true is not text (put it in quotes); allowed: ` + allowedName},
		{"arms: [{name: ''}]", `2:15: name: "" is not allowed; allowed: ` + allowedName},
		{"arms: [{name: -a}]", `2:15: name: '-' at character 1 is not allowed; allowed: ` + allowedName},
		{"arms: [{name: a/b}]", `2:15: name: '/' at character 2 is not allowed; allowed: ` + allowedName},
		{`arms: [{name: "a\n"}]`, `2:15: name: '\n' at character 2 is not allowed; allowed: ` + allowedName},
		{"arms: [{name: " + strings.Repeat("a", 64) + "}]", `2:15: name: "` + strings.Repeat("a", 40) + `..." has 64 characters; allowed: ` + allowedName},
		{"arms: [{name: dörf}]", `2:15: name: 'ö' (U+00F6) at character 2 is not allowed; allowed: ` + allowedName},
		{"arms: [{name: pаypal}]", "2:15: name: 'а' (U+0430) at character 2 is not allowed; allowed: " + allowedName},
		{`arms: [{name: "ab\u200bc"}]`, `2:15: name: '\u200b' (U+200B) at character 3 is not allowed; allowed: ` + allowedName},
		{"arms: [{name: a}, {name: b}, {name: a}]", `2:37: name: "a" is the arm at line 2 already; allowed: a name of its own`},
		{"arms: [{name: a, nam: b}]", `2:18: unknown key "nam" in arms; allowed: ` + allowedArm + ` (did you mean "name"?)`},
		{"arms: [{name: a, masquerade: true}]", `2:30: masquerade: "true" is not a mapping; allowed: a mapping of plain, random, random_fully, removes, to_ports`},
		{"arms: [{name: a, masquerade: {random: yes}}]", `2:39: random: "yes" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: on}}]", `2:39: random: "on" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: True}}]", `2:39: random: "True" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: 'true'}}]", `2:39: random: "true" in quotes is text, not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random-fully: true}}]", `2:31: unknown key "random-fully" in masquerade; allowed: plain, random, random_fully, removes, to_ports (did you mean "random_fully"?)`},
		{"arms: [{name: a, masquerade: {removes: 90%}}]", `2:30: removes: it is the share that a rule with random_fully removes; allowed: with random_fully: true, and nothing else`},
		{"arms: [{name: a, masquerade: {random_fully: true, removes: 90%, to_ports: 2000-2999}}]", `2:30: removes: it is the share that a rule with random_fully removes; allowed: with random_fully: true, and nothing else`},
		{"clients: 3\narms: [{name: a, masquerade: {random_fully: true, removes: 90%}}]", `3:30: removes: the share that remains is known for 2 clients, and there are 3; allowed: clients: 2`},
		{"load: {pattern: ephemeral}\narms: [{name: a, masquerade: {random_fully: true, removes: 90%}}]", `3:30: removes: belongs to pattern lockstep; the pattern here is ephemeral`},
		{"arms: [{name: a, masquerade: {random_fully: true, removes: 100%}}]", `2:60: removes: "100%" is not allowed; allowed: "0.001%" to "99.999%", with at most three decimals`},
		{"arms: [{name: a, masquerade: {random_fully: true, removes: 0%}}]", `2:60: removes: "0%" is out of range; allowed: "0.001%" to "99.999%", with at most three decimals`},
		{"arms: [{name: a, masquerade: {random_fully: true, removes: 0.9}}]", `2:60: removes: "0.9" is not allowed; allowed: "0.001%" to "99.999%", with at most three decimals`},
		{"arms: [{name: a, masquerade: {plain: true, random_fully: true}}]", `2:30: masquerade: plain and other options are given; allowed: plain: true alone, since it is a rule without options`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1], random: true, random_fully: true}}]", `2:24: snat: random and random_fully are both true; allowed: at most one of them`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1], to_ports: 1023-65535}}]", `2:60: to_ports: 1023-65535 is out of range; allowed: ` + allowedNAT + ", or a list of 2 to 8 such ranges"},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1], persistent: true}}]", `2:24: snat: persistent is about the choice of one of several addresses; allowed with two addresses or more`},
		{"clients: 3\narms: [{name: a, snat: {to_source: [198.19.0.1], ports_per_client: 21505}}]", `3:68: ports_per_client: 3 clients x 21505 ports are 64515; allowed: at most 21504 for each client (the blocks are cut from 1024-65535)`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1], to_ports: 2000-2031, ports_per_client: 17}}]", `2:89: ports_per_client: 2 clients x 17 ports are 34; allowed: at most 16 for each client (the blocks are cut from 2000-2031)`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1], ports_per_client: 0}}]", `2:68: ports_per_client: 0 is out of range; allowed: 1 to 64512`},
		{"arms: [{name: a, snat: {ports_per_client: 16}}]", `2:24: to_source: is missing; allowed: a list of 1 to 64`},
		{"arms: [{name: a, masquerade: {ports_per_client: 16}}]", `2:31: unknown key "ports_per_client" in masquerade; allowed: plain, random, random_fully, removes, to_ports`},
		{"arms: [{name: a, snat: {to_ports: 2000-2999}}]", `2:24: to_source: is missing; allowed: a list of 1 to 64`},
		{"arms: [{name: a, masquerade: {random: true, random_fully: true}}]", `2:30: masquerade: random and random_fully are both true; allowed: at most one of them`},

		{"arms: [{name: a, masquerade: {to_ports: 1023-65535}}]", `2:41: to_ports: 1023-65535 is out of range; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 1024-65536}}]", `2:41: to_ports: 1024-65536 is out of range; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 29999-20000}}]", `2:41: to_ports: 29999-20000 ends before it begins; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 20000}}]", `2:41: to_ports: "20000" is not a range of ports; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 20000:29999}}]", `2:41: to_ports: "20000:29999" is not a range of ports; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 020000-29999}}]", `2:41: to_ports: "020000-29999" is not a range of ports; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: 20000-999999}}]", `2:41: to_ports: "20000-999999" is not a range of ports; allowed: ` + allowedNAT},
		{"arms: [{name: a, masquerade: {to_ports: [20000, 29999]}}]", `2:41: to_ports: a list is not a range of ports; allowed: ` + allowedNAT},
		{"load: {pattern: ephemeral}\narms: [{name: a, client_port_range: 0-9}]", `3:37: client_port_range: "0-9" is not a range of ports; allowed: FIRST-LAST out of 1024 to 65535`},
		{"load: {pattern: ephemeral}\narms: [{name: a, client_port_range: 1-65536}]", `3:37: client_port_range: 1-65536 is out of range; allowed: FIRST-LAST out of 1024 to 65535`},
		{"load: {pattern: ephemeral}\narms: [{name: a, client_port_range: 9009-8008}]", `3:37: client_port_range: 9009-8008 ends before it begins; allowed: FIRST-LAST out of 1024 to 65535`},
		{"arms: [{name: a, client_port_range: 8008-8009}]", `2:18: client_port_range: belongs to pattern ephemeral; the pattern here is lockstep`},
		{"arms: [{name: a, client_ports: same}]", `2:32: client_ports: "same" is not allowed; allowed: split`},
		{"load: {pattern: ephemeral}\narms: [{name: a, client_port_range: 8008-8009, client_ports: split}]", `3:48: client_ports: cannot be given together with client_port_range; allowed: one of client_ports, client_port_range`},

		{"arms: [{name: a, snat: {}}]", `2:24: to_source: is missing; allowed: a list of 1 to 64`},
		{"arms: [{name: a, snat: {to_source: 198.19.0.1}}]", `2:36: to_source: "198.19.0.1" is not a list; allowed: a list of 1 to 64`},
		{"arms: [{name: a, snat: {to_source: []}}]", `2:36: to_source: is empty; allowed: a list of 1 to 64`},
		{"arms: [{name: a, snat: {to_source: [" + strings.Repeat("198.19.0.1, ", 65) + "]}}]", `2:36: to_source: has 65 entries; allowed: a list of 1 to 64`},
		{"arms: [{name: a, snat: {to_source: [198.20.0.0]}}]", `2:37: to_source: "198.20.0.0" is not allowed; allowed: addresses out of 198.18.0.0/15, or out of 2001:2::/48 with lab: {family: ipv6}`},
		{"arms: [{name: a, snat: {to_source: ['2001:db8::1']}}]", `2:37: to_source: "2001:db8::1" is not allowed; allowed: addresses out of 198.18.0.0/15, or out of 2001:2::/48 with lab: {family: ipv6}`},
		{"arms: [{name: a, snat: {to_source: ['::ffff:198.18.0.1']}}]", `2:37: to_source: "::ffff:198.18.0.1" is not allowed; allowed: addresses out of 198.18.0.0/15, or out of 2001:2::/48 with lab: {family: ipv6}`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1, ~]}}]", `2:49: to_source: is empty; allowed: addresses out of 198.18.0.0/15, or out of 2001:2::/48 with lab: {family: ipv6}`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.1, 198.19.0.2, 198.19.0.4, 198.19.0.9]}}]", `2:61: to_source: 198.19.0.4 comes after 198.19.0.2` + consecutive},
		{"arms: [{name: a, snat: {to_source: [198.19.0.2, 198.19.0.1]}}]", `2:49: to_source: 198.19.0.1 comes after 198.19.0.2` + consecutive},
		{"arms: [{name: a, snat: {to_source: [198.19.0.2, 198.19.0.2]}}]", `2:49: to_source: 198.19.0.2 comes after 198.19.0.2` + consecutive},
		{"arms: [{name: a, masquerade: {random: true}, snat: {to_source: [198.19.0.2]}}]", `2:46: snat: cannot be given together with masquerade; allowed: one of masquerade, snat`},
		{"arms: [{name: a, snat: {to_source: [198.19.0.2]}, masquerade: {}}]", `2:51: masquerade: cannot be given together with snat; allowed: one of masquerade, snat`},
		{"arms: [{name: a, sysctls: {host: {}}}]", `2:28: unknown key "host" in sysctls; allowed: clients, router, server`},
	} {
		checkRefused(t, "name: s\n"+c.line+"\n", "x.yaml:"+c.want)
	}
}

// One mistake is one fault.
func TestParseOneFault(t *testing.T) {
	t.Parallel()
	// Expectations name arms that have a fault already.
	checkRefused(t, "name: s\narms: [{name: A}, {name: b}]\nexpect: [{arm: A, race: absent}]\n",
		`x.yaml:2:15: name: 'A' at character 1 is not allowed; allowed: `+allowedName)
	checkRefused(t, "name: s\narms: [{name: [a]}]\nexpect: [{arm: a, race: absent}]\n",
		`x.yaml:2:15: name: a list is not text; allowed: `+allowedName)
	checkRefused(t, "name: s\narms: 3\nexpect: [{arm: a, race: absent}]\n",
		`x.yaml:2:7: arms: "3" is not a list; allowed: a list of 1 to 32`)
	// The driver or nat is unknown.
	checkRefused(t, minimal+"driver: nets\nnat: nftables\nserver: {address: 192.0.2.7:9000}\n",
		`x.yaml:3:9: driver: "nets" is not allowed; allowed: docker, netns, kubernetes (did you mean "netns"?)`)
	checkRefused(t, minimal+"nat: !x nftables\n", `x.yaml:3:6: nat: tags are not allowed`)
	checkRefused(t, minimal+"driver: netns\nserver:\n",
		`x.yaml:4:8: server: is empty; allowed: a mapping of accept_source_ports, address`)
	// An address of the list is unknown.
	checkRefused(t, "name: s\narms: [{name: a, snat: {to_source: [198.19.0.1, x, 198.19.0.9]}}]\n",
		`x.yaml:2:49: to_source: "x" is not allowed; allowed: addresses out of 198.18.0.0/15, or out of 2001:2::/48 with lab: {family: ipv6}`)
	// The pattern or the number of requests is unknown.
	checkRefused(t, "name: s\nload: {pattern: x}\narms: [{name: a, client_port_range: 8008-8009}]\n",
		`x.yaml:2:17: pattern: "x" is not allowed; allowed: lockstep, ephemeral, dns`)
	checkRefused(t, minimal+"load: {pattern: x, sync: clock, concurrency: 3}\n",
		`x.yaml:3:17: pattern: "x" is not allowed; allowed: lockstep, ephemeral, dns`)
	checkRefused(t, minimal+"clients: 64\nload: {requests: x}\n",
		`x.yaml:4:18: requests: "x" is not a whole number; allowed: 1 to 30000`)
	checkRefused(t, minimal+"clients: 64\nload: 3\n",
		`x.yaml:4:7: load: "3" is not a mapping; allowed: a mapping of `+allowedLoad)
}

// Unknown and repeated keys are faults.
func TestParseKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"round: 3", `3:1: unknown key "round" in scenario; allowed: ` + allowedRoot + ` (did you mean "rounds"?)`},
		{"laod: {}", `3:1: unknown key "laod" in scenario; allowed: ` + allowedRoot + ` (did you mean "load"?)`},
		{"Name: x", `3:1: unknown key "Name" in scenario; allowed: ` + allowedRoot + ` (did you mean "name"?)`},
		{"topology: x", `3:1: unknown key "topology" in scenario; allowed: ` + allowedRoot},
		{"12: x", `3:1: unknown key "12" in scenario; allowed: ` + allowedRoot},
		{"~: x", `3:1: unknown key "~" in scenario; allowed: ` + allowedRoot},
		{strings.Repeat("k", 100) + ": x", `3:1: unknown key "` + strings.Repeat("k", 40) + `..." in scenario; allowed: ` + allowedRoot},
		{"[name]: x", `3:1: a list is not a key; allowed: ` + allowedRoot},
		{"? {a: b}\n: x", `3:3: a mapping is not a key; allowed: ` + allowedRoot},
		{"name: t", `3:1: key "name" is already at line 1`},
		{"seed: 1\nrounds: 3\nseed: 1", `5:1: key "seed" is already at line 3`},
		{"x: 1\nx: 2", "3:1: unknown key \"x\" in scenario; allowed: " + allowedRoot + "\nx.yaml:4:1: key \"x\" is already at line 3"},
	} {
		checkRefused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

// Anchors, aliases, tags and merge keys are faults.
func TestParseYAMLFeatures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"seed: &s 3", `3:7: seed: anchors are not allowed`},
		{"seed: &s 3\nrounds: *s", "3:7: seed: anchors are not allowed\nx.yaml:4:9: rounds: aliases are not allowed"},
		{"&k seed: 3", `3:1: anchors are not allowed`},
		{"seed: &s 3\n*s : 4", "3:7: seed: anchors are not allowed\nx.yaml:4:1: aliases are not allowed"},
		{"load: &l {}\n<<: *l", "3:7: load: anchors are not allowed\nx.yaml:4:1: merge keys are not allowed"},
		{"<<: {seed: 3}", `3:1: merge keys are not allowed`},
		{"seed: *s", `1:1: YAML: unknown anchor 's' referenced; aliases are not allowed`},
		{"driver: !!binary ZG9ja2Vy", `3:9: driver: tags are not allowed`},
		{"driver: !foo docker", `3:9: driver: tags are not allowed`},
		{"driver: !!str docker", `3:9: driver: tags are not allowed`},
		{"seed: !!int '3'", `3:7: seed: tags are not allowed`},
		{"load: !!map {}", `3:7: load: tags are not allowed`},
		{"!foo seed: 3", `3:1: tags are not allowed`},
		{"!foo driver: {}\ndriver: netns", `3:1: tags are not allowed`},
	} {
		checkRefused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

// A key with a tag does not hide the same key without one.
func TestParseTaggedKey(t *testing.T) {
	t.Parallel()
	checkRefused(t, "name: s\n!foo arms: x\narms: [{name: a}]\n!foo expect: x\nexpect: [{arm: a, race: absent}]\n",
		"x.yaml:2:1: tags are not allowed", "x.yaml:4:1: tags are not allowed")
}

// A file is one document, and the document is a mapping.
func TestParseDocument(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, want string }{
		{"", `1:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"# only a comment\n", `1:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"\n---\n", `3:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"- name: s\n", `1:1: scenario: a list is not a mapping; allowed: a mapping of ` + allowedRoot},
		{"name\n", `1:1: scenario: "name" is not a mapping; allowed: a mapping of ` + allowedRoot},
		{minimal + "---\n" + minimal, `3:1: a second document begins; allowed: one in a file`},
		{minimal + "---\na: [\n", `5:1: YAML: did not find expected node content`},
	} {
		checkRefused(t, c.data, "x.yaml:"+c.want)
	}
	parse(t, "---\n"+minimal+"...\n")
}

// A syntax error has the line of the mistake.
func TestParseSyntaxErrors(t *testing.T) {
	t.Parallel()
	const noKey, quotes = "YAML: did not find expected key", ` (text that begins with ">" needs quotes: ">=95%")`
	for _, c := range []struct{ lines, want string }{
		{"load:\n  requests: 1\n rate: max", `5:1: ` + noKey},
		{"load:\n\trequests: 3", `4:1: YAML: found character that cannot start any token (a tab does not indent; spaces do)`},
		{"- b", `3:1: ` + noKey},
		{"load: a: b", `3:1: YAML: mapping values are not allowed in this context`},
		{"load: {rate: max", `3:1: YAML: did not find expected ',' or '}'`},
		{"expect:\n  - {arm: b, reduction: >=95%}", `4:1: YAML: found character that cannot start any token` + quotes},
		{"expect:\n  - arm: b\n    reduction: >=95%", `5:1: YAML: did not find expected comment or line break` + quotes},
	} {
		checkRefused(t, minimal+c.lines+"\n", "x.yaml:"+c.want)
	}
	checkRefused(t, "a: \x01", "x.yaml:1:4: U+0001 is not allowed; allowed: text without control characters")
}

// Aliases that expand to a huge document are refused in little memory.
func TestParseAliasBomb(t *testing.T) {
	bomb := "name: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	bomb += "arms: *z\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Parse("x.yaml", []byte(bomb))
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
	if err == nil || !strings.Contains(err.Error(), "x.yaml:27:7: arms: aliases are not allowed") {
		t.Error(err)
	}
	// An anchor that contains itself.
	checkRefused(t, "name: s\narms: &a [*a]\n",
		"x.yaml:2:7: arms: anchors are not allowed", "x.yaml:2:11: arms: aliases are not allowed")
}

// A list that is too long is one fault.
func TestParseTooMany(t *testing.T) {
	t.Parallel()
	checkRefused(t, "name: s\narms:\n"+strings.Repeat("  - {nam: Z}\n", 10_000),
		"x.yaml:3:3: arms: has 10000 entries; allowed: a list of 1 to 32")
	checkRefused(t, minimal+"expect:\n"+strings.Repeat("  - {arm: Z}\n", 97),
		"x.yaml:4:3: expect: has 97 entries; allowed: a list of 0 to 96")
}

// Faults that do not fit on a page are counted.
func TestParseManyFaults(t *testing.T) {
	t.Parallel()
	_, err := Parse("x.yaml", []byte(minimal+strings.Repeat("seed: 1\n", 1001)))
	faults, _ := errors.AsType[strictyaml.Faults](err)
	if len(faults) != 100 {
		t.Fatalf("%d faults", len(faults))
	}
	if got, want := faults[99].String(), "x.yaml:103:1: and 901 more faults from here on"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A file above the limit is refused.
func TestReadLargeFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "huge.yaml")
	fill := func(size int) {
		data := minimal + strings.Repeat("#", size-len(minimal)-1) + "\n"
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(strictyaml.MaxBytes)
	if _, err := Read(file); err != nil {
		t.Errorf("1 MiB: %v", err)
	}
	fill(strictyaml.MaxBytes + 1)
	_, err := Read(file)
	want := strictyaml.Faults{{File: file, Line: 1, Column: 1, Message: "larger than 1 MiB"}}
	if got, _ := errors.AsType[strictyaml.Faults](err); !cmp.Equal(want, got) {
		t.Errorf("got %v", err)
	}
	fill(8 * strictyaml.MaxBytes)
	if _, err := Read(file); err == nil || err.Error() != want.Error() {
		t.Errorf("got %v", err)
	}
}

// A file that cannot be read is an error, but not a fault of its contents.
func TestReadMissingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "absent.yaml"), dir} {
		_, err := Read(path)
		if err == nil {
			t.Fatalf("%s was read", path)
		}
		if _, ok := errors.AsType[strictyaml.Faults](err); ok || !strings.Contains(err.Error(), path) {
			t.Errorf("%T: %v", err, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// Arms send queries in another way than the first one, and their latencies are not compared.
func TestParseLookupFaults(t *testing.T) {
	t.Parallel()
	const dns = "name: s\nload: {pattern: dns}\n"
	for _, c := range []struct{ text, want string }{
		{"name: s\narms: [{name: a}, {name: b, resolver: use-vc}]\n", "2:29: resolver: belongs to pattern dns; the pattern here is lockstep"},
		{dns + "arms: [{name: a, resolver: use-vc}]\n", "3:28: resolver: the first arm is what others are compared with, and sends both queries at once, as the control does; allowed in the arms after it"},
		{dns + "arms: [{name: a}, {name: b, resolver: tcp}]\n", `3:39: resolver: "tcp" is not allowed; allowed: single-request, single-request-reopen, use-vc`},
		{dns + "arms: [{name: a}, {name: b, resolver: use-vc, snat: {to_source: [198.19.0.1], ports_per_client: 16}}]\n", "3:39: resolver: use-vc is TCP, and a rule with ports_per_client is for UDP here; allowed without ports_per_client"},
		{dns + "arms: [{name: a}, {name: b, resolver: use-vc, masquerade: {to_ports: 2000-2999}}]\n", "3:39: resolver: use-vc is TCP, and a rule with to_ports is for UDP here; allowed without to_ports"},
		{dns + "server: {accept_source_ports: 1024-65535}\narms: [{name: a}, {name: b, resolver: use-vc}]\n", "4:39: resolver: use-vc is TCP, and the filter of server.accept_source_ports is for UDP here; allowed without it"},
		{dns + "driver: kubernetes\narms: [{name: a}, {name: b, resolver: use-vc}]\n", "4:29: resolver: use-vc is not allowed in a kubernetes lab, whose agent on the node removes entries of UDP alone; allowed with drivers docker and netns"},
		{dns + "arms: [{name: a}, {name: b, resolver: use-vc}]\nexpect: [{arm: b, p50: '<=20%'}]\n", `4:10: expect: "b" sends its packets in another way than the first arm, so their latencies are not compared; allowed: claims about failures`},
		{dns + "arms: [{name: a}, {name: b, notrack: true}]\n", "3:29: notrack: the server of a docker lab has no route to the clients but through NAT; allowed with driver netns"},
		{"name: s\ndriver: netns\narms: [{name: a}, {name: b, notrack: true}]\n", "3:29: notrack: belongs to pattern dns; the pattern here is lockstep"},
		{dns + "driver: netns\narms: [{name: a, notrack: true}]\n", "4:27: notrack: the first arm is what others are compared with, and its look-ups are translated; allowed in the arms after it"},
		{dns + "driver: netns\narms: [{name: a}, {name: b, notrack: true, masquerade: {random: true}}]\n", "4:38: notrack: what is not tracked is not translated; allowed without masquerade and snat"},
		{dns + "driver: netns\ndnat: {backends: 2}\narms: [{name: a}, {name: b, notrack: true}]\n", "5:38: notrack: what is not tracked is not translated to a backend; allowed without dnat"},
		{dns + "driver: netns\nserver: {accept_source_ports: 1024-65535}\narms: [{name: a}, {name: b, notrack: true}]\n", "5:38: notrack: what is not tracked keeps its source port; allowed without server.accept_source_ports"},
		{dns + "driver: kubernetes\narms: [{name: a}, {name: b, notrack: true}]\n", "4:29: notrack: the server of a kubernetes lab has no route to the clients but through NAT; allowed with driver netns"},
	} {
		checkRefused(t, c.text, "x.yaml:"+c.want)
	}
}

// Second sockets have the last third of the clients' ports, which slots do not use.
func TestReopenedPorts(t *testing.T) {
	t.Parallel()
	s := parse(t, "name: s\nload: {pattern: dns}\narms: [{name: a}, {name: b, resolver: single-request-reopen}]\n")
	if own, other := s.ClientPorts(DefaultPorts), s.ReopenedPorts(DefaultPorts); own != (PortRange{32768, 51589}) || other != (PortRange{51590, 60999}) {
		t.Errorf("slots leave from %v, second sockets from %v", own, other)
	}
	s = parse(t, "name: s\nload: {pattern: dns}\narms: [{name: a}, {name: b, resolver: single-request}]\n")
	if own, other := s.ClientPorts(DefaultPorts), s.ReopenedPorts(DefaultPorts); own != DefaultPorts || other != (PortRange{}) {
		t.Errorf("without second sockets: slots leave from %v, second sockets from %v", own, other)
	}
}
