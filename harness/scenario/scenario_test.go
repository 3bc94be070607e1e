package scenario

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/scenario/sysctl"
)

// minimal is the shortest valid scenario. Tests append to it.
const minimal = "name: s\narms: [{name: a}, {name: b}]\n"

func parse(t *testing.T, data string) *Scenario {
	t.Helper()
	s, err := Parse("x.yaml", []byte(data))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, data)
	}
	if err := validate(t, []byte(data)); err != nil {
		t.Errorf("by the schema: %v\nin:\n%s", err, data)
	}
	return s
}

func diff(a, b *Scenario) string {
	return cmp.Diff(a, b, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}), cmpopts.IgnoreUnexported(Scenario{}))
}

// The ready scenarios are valid.
func TestReadyScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("scenarios: %q, %v", files, err)
	}
	for _, file := range files {
		s, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if want := strings.TrimSuffix(filepath.Base(file), ".yaml"); s.Name != want {
			t.Errorf("%s: the name of the scenario is %q", file, s.Name)
		}
		if head, _ := os.ReadFile(file); !strings.HasPrefix(string(head), "# ") {
			t.Errorf("%s: no comment at the top", file)
		}
	}
}

// The ready scenarios run with every driver, but for arms that its lab cannot have, and for
// what only guests can.
func TestReadyScenarioDrivers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		s, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		hash := s.Hash()
		for _, driver := range allDrivers {
			if err := s.SetDriver(driver); err != nil {
				if strings.Contains(err.Error(), "in the guests of snatlab matrix") {
					continue
				}
				pods := driver == result.DriverKubernetes && strings.Contains(err.Error(), "allowed with drivers docker and netns")
				if !pods && !strings.HasSuffix(err.Error(), "notrack: the server of a "+driver+" lab has no route to the clients but through NAT; allowed with driver netns") {
					t.Errorf("%s: %v", file, err)
				}
				continue
			}
			if got := s.Hash(); got != hash {
				t.Errorf("%s: hash %s, with driver %s %s", file, hash, driver, got)
			}
		}
	}
}

func TestParseEveryKey(t *testing.T) {
	t.Parallel()
	got := parse(t, `
name: every-key.1
driver: docker
nat: iptables
clients: 4
server: {address: "192.0.2.7:9000"}
load:
  protocol: tcp
  pattern: lockstep
  requests: 100
  rate: 2000
  timeout: 0.9s
  sync: clock
rounds: 3
until: {hits: 300, rounds_max: 40, time_max: 1m30s}
seed: 9223372036854775807
arms:
  - name: plain
  - {name: random, masquerade: {random: true, random_fully: false}}
  - {name: "007", masquerade: {random_fully: true}}
  - {name: d, masquerade: {}}
expect:
  - {arm: plain, race: reproduced}
  - {arm: random, race: absent}
  - {arm: "007", reduction: ">= 99.5 %"}
`)
	want := &Scenario{
		Name: "every-key.1", Driver: result.DriverDocker, NAT: result.NATIPTables, Clients: 4,
		Server: ServerSettings{Address: netip.MustParseAddrPort("192.0.2.7:9000")},
		Lab:    LabSettings{PostroutingRules: lockstepRules},
		Load: LoadSettings{Protocol: "tcp", Pattern: result.Lockstep, Requests: 100, Rate: 2000,
			Timeout: 900 * time.Millisecond, Sync: result.SyncClock},
		Rounds: 3, Until: Until{Hits: 300, RoundsMax: 40, TimeMax: 90 * time.Second}, Seed: new(uint64(1<<63 - 1)),
		Arms: []Arm{{Name: "plain"},
			{Name: "random", Masquerade: MasqueradeOptions{Random: true}},
			{Name: "007", Masquerade: MasqueradeOptions{RandomFully: true}},
			{Name: "d"}},
		Expect: []Expect{{Arm: "plain", Race: result.Reproduced},
			{Arm: "random", Race: result.Absent},
			{Arm: "007", Reduction: new(0.995)}},
	}
	if d := diff(want, got); d != "" {
		t.Error(d)
	}
}

// Idle rules are the default of lockstep, unless other containers would pass them. They
// are required only if the file asks for them.
func TestParseIdleRules(t *testing.T) {
	t.Parallel()
	const shared = "network: n\n"
	for _, c := range []struct {
		lines    string
		rules    int
		required bool
	}{
		{"", lockstepRules, false},
		{"lab: {allow_host_sysctls: true}\n", lockstepRules, false},
		{"driver: netns\n", lockstepRules, false},
		{"lab: {postrouting_rules: 0}\n", 0, true},
		{"lab: {postrouting_rules: 500}\n", 500, true},
		{"lab: {postrouting_rules: 7}\n", 7, true},
		{shared + "lab: {allow_shared_network: true}\n", 0, false},
		{shared + "lab: {allow_shared_network: true, postrouting_rules: 0}\n", 0, true},
		{"load: {pattern: ephemeral}\n", 0, false},
		{"load: {pattern: ephemeral}\nlab: {postrouting_rules: 7}\n", 7, true},
	} {
		s := parse(t, minimal+c.lines)
		if s.Lab.PostroutingRules != c.rules || s.RequiresRules() != c.required {
			t.Errorf("%q: %d rules, required: %v", c.lines, s.Lab.PostroutingRules, s.RequiresRules())
		}
		if again := parse(t, string(s.Canonical())); again.Lab != s.Lab {
			t.Errorf("%q: %+v, in its canonical form %+v", c.lines, s.Lab, again.Lab)
		}
	}
}

// These keys cannot be combined with a server on another machine, or with
// lockstep.
func TestParseEveryLabKey(t *testing.T) {
	t.Parallel()
	got := parse(t, `
name: s
lab: {postrouting_rules: 5000, allow_host_sysctls: true, allow_shared_network: true}
load: {pattern: ephemeral}
arms:
  - {name: a, masquerade: {to_ports: 20000-29999, random_fully: true}}
  - {name: b, snat: {to_source: [198.18.255.255, 198.19.0.0], random_fully: true}}
  - {name: c, client_ports: split}
  - {name: d, client_port_range: 32768-32783}
  - name: e
    sysctls:
      router:
        net.netfilter.nf_conntrack_tcp_timeout_close: 1
        net.ipv4.ip_local_port_range: 1024 65535
      server: {net.ipv4.conf.snat-0.rp_filter: "2", net.ipv4.tcp_x: -1}
      clients: {net.ipv4.tcp_timestamps: 0}
expect:
  - {arm: b, p50: "<=5%"}
  - {arm: b, p99: <= 20.0 %}
  - {arm: a, unexplained: "<=0.1%"}
`)
	want := Default()
	want.Name, want.NAT, want.Rounds = "s", result.NATIPTables, UncontrolledRounds
	want.Lab = LabSettings{PostroutingRules: 5000, AllowHostSysctls: true, AllowSharedNetwork: true}
	want.Load.Pattern, want.Load.Concurrency = result.Ephemeral, DefaultConcurrency
	want.Arms = []Arm{
		{Name: "a", Masquerade: MasqueradeOptions{RandomFully: true, ToPorts: PortRange{20000, 29999}}},
		{Name: "b", SNAT: SNATOptions{
			ToSource:    []netip.Addr{netip.MustParseAddr("198.18.255.255"), netip.MustParseAddr("198.19.0.0")},
			RandomFully: true,
		}},
		{Name: "c", ClientPorts: result.SplitPorts},
		{Name: "d", ClientPortRange: PortRange{32768, 32783}},
		{Name: "e", Sysctls: Sysctls{
			Router: []sysctl.Setting{
				{Name: "net.netfilter.nf_conntrack_tcp_timeout_close", Value: "1"},
				{Name: "net.ipv4.ip_local_port_range", Value: "1024 65535"},
			},
			Server:  []sysctl.Setting{{Name: "net.ipv4.conf.snat-0.rp_filter", Value: "2"}, {Name: "net.ipv4.tcp_x", Value: "-1"}},
			Clients: []sysctl.Setting{{Name: "net.ipv4.tcp_timestamps", Value: "0"}},
		}},
	}
	want.Expect = []Expect{
		{Arm: "b", P50: new(0.05)},
		{Arm: "b", P99: new(0.2)},
		{Arm: "a", Unexplained: new(0.001)},
	}
	if d := diff(&want, got); d != "" {
		t.Error(d)
	}
}

// Absent keys have their defaults.
func TestParseDefaults(t *testing.T) {
	t.Parallel()
	want := Default()
	want.Name = "s"
	want.Arms = []Arm{{Name: "a"}, {Name: "b"}}
	want.NAT, want.Load.Sync, want.Lab.PostroutingRules = result.NATIPTables, DefaultSync, lockstepRules
	want.Rounds, want.Until = DefaultRounds, Until{Hits: DefaultHits, RoundsMax: DefaultRoundsMax, TimeMax: DefaultTimeMax}
	if d := diff(&want, parse(t, minimal)); d != "" {
		t.Errorf("lockstep: %s", d)
	}
	want.Lab.PostroutingRules = 0
	want.Load.Pattern, want.Load.Sync, want.Load.Concurrency = result.Ephemeral, "", DefaultConcurrency
	want.Rounds, want.Until = UncontrolledRounds, Until{}
	if d := diff(&want, parse(t, minimal+"load: {pattern: ephemeral}\n")); d != "" {
		t.Errorf("ephemeral: %s", d)
	}
	want = *parse(t, minimal)
	want.Driver, want.NAT = result.DriverNetns, result.NATNFTables
	if d := diff(&want, parse(t, minimal+"driver: netns\n")); d != "" {
		t.Errorf("netns: %s", d)
	}
}

// The bounds themselves are allowed.
func TestParseBounds(t *testing.T) {
	t.Parallel()
	for _, lines := range []string{
		"clients: 1\n", "clients: 64\nload: {requests: 500}\n",
		"rounds: 1\n", "rounds: 1000\n", "seed: 0\n",
		"load: {requests: 1}\n", "load: {requests: 24703}\nclients: 1\n", "load: {requests: 30000, pattern: ephemeral}\nclients: 1\n",
		"load: {requests: 16000}\nclients: 2\n",
		"load: {rate: 1}\n", "load: {rate: 100000}\n", "load: {rate: max}\n",
		"load: {timeout: 10ms}\n", "load: {timeout: 900ms}\n",
		"load: {pattern: ephemeral, concurrency: 1}\n", "load: {pattern: ephemeral, concurrency: 4096}\n",
		"expect: []\n",
		"expect: [{arm: b, reduction: '>=0%'}]\n", "expect: [{arm: b, reduction: '>=100%'}]\n",
		"expect: [{arm: a, race: absent}, {arm: b, race: absent}, {arm: b, unexplained: '<=0%'}]\n",
		"expect: [{arm: b, p50: '<=0%'}, {arm: b, p99: '<=1000%'}, {arm: a, unexplained: '<=100%'}]\n",
		"lab: {}\n", "lab: {postrouting_rules: 0}\n", "lab: {postrouting_rules: 20000}\n",
	} {
		parse(t, minimal+lines)
	}
	for _, arm := range []string{
		"masquerade: {to_ports: 1024-65535}", "masquerade: {to_ports: 1024-1024, random: true}",
		"client_port_range: 1024-65535", "client_port_range: 9009-9009",
		"snat: {to_source: [198.19.0.1], ports_per_client: 1}", "snat: {to_source: [198.19.0.1], to_ports: 2000-2031, ports_per_client: 16}",
		"snat: {to_source: [198.18.0.0]}", "snat: {to_source: [198.19.255.254, 198.19.255.255]}",
		"sysctls: {}", "sysctls: {router: {}, server: {}, clients: {}}",
		"sysctls: {clients: {net.x: " + strings.Repeat("v", 128) + "}}",
	} {
		parse(t, "{name: s, driver: netns, load: {pattern: ephemeral}, arms: [{name: a, "+arm+"}]}")
	}
	var many strings.Builder
	for i := range 64 {
		fmt.Fprintf(&many, "198.19.7.%d, ", i)
	}
	parse(t, "{name: s, arms: [{name: a, snat: {to_source: ["+many.String()+"]}}]}")
	many.Reset()
	for i := range MaxArms { // as many expectations as are allowed
		fmt.Fprintf(&many, "{arm: a%d, race: absent}, {arm: a%d, unexplained: '<=1%%'}, ", i, i)
		if i > 0 {
			fmt.Fprintf(&many, "{arm: a%d, p50: '<=1%%'}, ", i)
		}
	}
	var arms strings.Builder
	for i := range MaxArms {
		fmt.Fprintf(&arms, "{name: a%d}, ", i)
	}
	parse(t, "{name: s, arms: ["+arms.String()+"], expect: ["+many.String()+"{arm: a1, p99: '<=1%'}]}")
	many.Reset()
	for i := range sysctl.Max {
		fmt.Fprintf(&many, "net.x%d: 1, ", i)
	}
	parse(t, "{name: s, arms: [{name: a, sysctls: {clients: {"+many.String()+"}}}]}")
}

// The tables contain the keys of the structs in their order.
func TestFieldTables(t *testing.T) {
	t.Parallel()
	for _, table := range []struct {
		of     any
		fields []strictyaml.Field
	}{
		{Scenario{}, scenarioFields(new(Scenario))},
		{ServerSettings{}, serverFields(new(ServerSettings))},
		{LabSettings{}, labFields(new(Scenario))},
		{Until{}, untilFields(new(Until))},
		{LoadSettings{}, loadFields(new(LoadSettings))},
		{Arm{}, armFields(new(Arm))},
		{MasqueradeOptions{}, masqueradeFields(new(MasqueradeOptions))},
		{SNATOptions{}, snatFields(new(SNATOptions))},
		{Sysctls{}, sysctlsFields(new(Sysctls))},
		{Expect{}, expectFields(new(Expect))},
	} {
		var tags, keys []string
		for f := range reflect.TypeOf(table.of).Fields() {
			if f.IsExported() {
				tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				tags = append(tags, tag)
			}
		}
		for _, f := range table.fields {
			keys = append(keys, f.Key)
		}
		if d := cmp.Diff(tags, keys); d != "" {
			t.Errorf("%T: %s", table.of, d)
		}
	}
}

// The bounds of the file hold for the command line.
func TestSetBounds(t *testing.T) {
	t.Parallel()
	s := parse(t, minimal)
	before := *s
	for _, refused := range []struct {
		err  error
		want string
	}{
		{s.SetRounds(0), "rounds: 0 is out of range; allowed: 1 to 1000"},
		{s.SetRounds(-3), "rounds: -3 is out of range; allowed: 1 to 1000"},
		{s.SetRounds(1001), "rounds: 1001 is out of range; allowed: 1 to 1000"},
		{s.SetDriver("dokcer"), `driver: "dokcer" is not allowed; allowed: docker, netns, kubernetes (did you mean "docker"?)`},
		{s.SetDriver(""), `driver: "" is not allowed; allowed: docker, netns, kubernetes`},
	} {
		if refused.err == nil || refused.err.Error() != refused.want {
			t.Errorf("got  %v\nwant %s", refused.err, refused.want)
		}
	}
	if d := diff(&before, s); d != "" {
		t.Errorf("a refused value was stored: %s", d)
	}
	if err := s.SetRounds(1000); err != nil || s.Rounds != 1000 {
		t.Errorf("rounds %d, %v", s.Rounds, err)
	}
}

// A driver of the command line sets its default NAT.
func TestSetDriverNAT(t *testing.T) {
	t.Parallel()
	s := parse(t, minimal)
	for _, want := range []struct{ driver, nat string }{
		{result.DriverNetns, result.NATNFTables}, {result.DriverNetns, result.NATNFTables}, {result.DriverDocker, result.NATIPTables}, {result.DriverNetns, result.NATNFTables},
	} {
		if err := s.SetDriver(want.driver); err != nil || s.Driver != want.driver || s.NAT != want.nat {
			t.Errorf("driver %s, nat %s, want %s: %v", s.Driver, s.NAT, want, err)
		}
	}
}

// A driver of the command line does not change the NAT of the file.
func TestSetDriverWrittenNAT(t *testing.T) {
	t.Parallel()
	s := parse(t, minimal+"nat: iptables\n")
	for _, driver := range []string{result.DriverDocker, result.DriverNetns, result.DriverDocker} {
		if err := s.SetDriver(driver); err != nil || s.Driver != driver || s.NAT != result.NATIPTables {
			t.Errorf("driver %s, nat %s: %v", s.Driver, s.NAT, err)
		}
	}
}

// A driver of the command line is refused if it does not support a setting.
func TestSetDriverLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lines, driver, want string }{
		{"server: {address: 192.0.2.7:9000}\n", result.DriverNetns, "driver netns: " + netnsServer},
		{"driver: netns\nnat: nftables\n", result.DriverDocker, "driver docker: " + dockerNAT},
		{"network: bridge\nlab: {allow_shared_network: true}\n", result.DriverNetns, "driver netns: " + netnsNetwork},
	} {
		s := parse(t, minimal+c.lines)
		before := *s
		if err := s.SetDriver(c.driver); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
		if d := diff(&before, s); d != "" {
			t.Errorf("a refused value was stored: %s", d)
		}
	}
	router := "{name: s, driver: netns, lab: {allow_host_sysctls: %t}, arms: [{name: a}, {name: b, sysctls: {router: {net.x: 1}}}]}"
	if err := parse(t, fmt.Sprintf(router, false)).SetDriver(result.DriverDocker); err == nil || err.Error() != "driver docker: "+hostSysctl {
		t.Errorf("got %v", err)
	}
	if err := parse(t, fmt.Sprintf(router, true)).SetDriver(result.DriverDocker); err != nil {
		t.Errorf("refused although it is allowed: %v", err)
	}
	// The canonical form sets nat although the file does not.
	s := parse(t, string(parse(t, minimal+"driver: netns\n").Canonical()))
	if err := s.SetDriver(result.DriverDocker); err == nil || err.Error() != "driver docker: "+dockerNAT {
		t.Errorf("canonical: %v", err)
	}
}
