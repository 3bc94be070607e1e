package scenario

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
	"snatlab/harness/scenario/percent"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/scenario/sysctl"
)

// Any bytes are either a scenario that is equal to its canonical form and valid by the
// schema, or faults with a place. With another driver of the command line, the same holds.
func FuzzParse(f *testing.F) {
	ready, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range ready {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{
		"", "---\n", "a: [", minimal, minimal + "---\n" + minimal,
		minimal + "load: {pattern: ephemeral, concurrency: 3, rate: 10, timeout: 20.5ms}\n",
		minimal + "server: {address: 192.0.2.7:9000}\nseed: 0\n",
		minimal + "driver: netns\n", minimal + "driver: netns\nnat: iptables\n", minimal + "nat: nftables\n",
		minimal + "driver: netns\nserver: {address: 192.0.2.7:9000}\n",
		minimal + "network: bridge\nlab: {allow_shared_network: true}\n",
		minimal + "expect: [{arm: b, reduction: '>=99.9 %'}, {arm: a, race: absent}]\n",
		minimal + "lab: {postrouting_rules: 5000}\nexpect: [{arm: b, p99: <=20%}, {arm: b, p50: '<=0.5 %'}, {arm: a, unexplained: <=0.1%}]\n",
		"name: s\narms: [{name: a, masquerade: {to_ports: 20000-29999}}, {name: b, snat: {to_source: [198.19.0.1, 198.19.0.2]}, client_ports: split}]\n",
		"name: s\nload: {pattern: ephemeral}\narms: [{name: a, client_port_range: 32768-32783}]\n",
		"name: s\ndriver: netns\narms: [{name: a, sysctls: {router: {net.x.y: 1, net.z: '1 2'}, server: {net.x: ' '}, clients: {net.x: -1}}}]\n",
		"name: s\nlab: {allow_host_sysctls: true}\narms: [{name: a, sysctls: {router: {net.x.y: 0x1, <<: 1, [net.x]: 1}}}]\n",
		"{name: '1', arms: [{name: \"true\", masquerade: {random: true}}]}",
		"name: &a s\narms: &b [*a, {<<: *b}, !x {name: !!str y}]\n? [k]\n: v\n",
		"name: s\narms: [{name: a}, {name: a}]\nclients: 64\nload: {requests: 30000, sync: clock}\n",
		"name: |\n  s\nseed: 0x10\nrounds: ~\nclients: -1\n",
		"expect: >=95%\n", "\xff\xfe", "a: \x01\n", "%YAML 1.1\n---\n",
		`name: "\e[2J"` + "\n" + `arms: [{name: "\a"}, {name: "b\n", sysctls: {clients: {"net.\e": "\e"}}}]` + "\n" + `expect: [{arm: "\x7f"}, {"\e": 1}]`,
		"\ufeff" + minimal, "name: caf\xe9\n", "a:\r\n\t- \u2028\n",
	} {
		f.Add([]byte(seed))
	}
	for _, sample := range samples(strictyaml.Mapping{Fields: scenarioFields(&Scenario{})}) {
		f.Add([]byte(sample))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			faults, ok := errors.AsType[strictyaml.Faults](err)
			if !ok || len(faults) == 0 || s != nil {
				t.Fatalf("%T: %v, and %v", err, err, s)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Errorf("without a place: %s", fault)
				}
				if strings.ContainsFunc(fault.Message, unicode.IsControl) || len(fault.Message) > 4096 {
					t.Errorf("not printable: %q", fault.Message)
				}
			}
			return
		}
		checkRoundTrip(t, s)
		if err := validate(t, data); err != nil && !errors.Is(err, errNoValue) {
			t.Errorf("by the schema: %v", err)
		}
		for _, driver := range allDrivers {
			if err := s.SetDriver(driver); err == nil {
				checkRoundTrip(t, s)
			}
		}
	})
}

// samples returns values of a kind as text of a file. A mapping has one for each of
// its keys, so no key is without a seed. A new kind of value makes it panic.
func samples(v strictyaml.Value) (all []string) {
	switch v := v.(type) {
	case strictyaml.String:
		return []string{"b"}
	case strictyaml.Choice:
		return v.Of
	case strictyaml.Boolean:
		return []string{"true", "false"}
	case strictyaml.Integer[int]:
		return []string{strconv.FormatUint(v.Bounds.Min, 10), strconv.FormatUint(v.Bounds.Max, 10)}
	case strictyaml.Integer[uint64]:
		return []string{strconv.FormatUint(v.Bounds.Max, 10)}
	case strictyaml.OptionalInteger:
		return samples(v.Integer)
	case seedValue:
		return []string{strconv.FormatUint(seedBounds.Max, 10)}
	case rateValue:
		return []string{maxRate, "10"}
	case strictyaml.Duration:
		return []string{v.Min.String()}
	case percent.Bound:
		return []string{fmt.Sprintf("\"%s%g%%\"", v.Sign, 100*v.Most)}
	case percent.Share:
		return []string{`"99.999%"`}
	case portRangeValue:
		return []string{fmt.Sprintf("%d-%d", v.bounds.Min, v.bounds.Max)}
	case portRangesValue:
		return []string{"1024-65535", "[1024-1024, 2000-65535]"}
	case network.Peer:
		return []string{"192.0.2.7:9000"}
	case network.Source:
		return []string{"198.19.0.1"}
	case sysctl.List:
		return []string{"{net.x.y: 1}"}
	case strictyaml.Sequence[Arm]:
		return samplesOf(v)
	case strictyaml.Sequence[Expect]:
		return samplesOf(v)
	case strictyaml.Sequence[netip.Addr]:
		return samplesOf(v)
	case strictyaml.Mapping:
		return samplesOfFields(v.Fields)
	}
	panic(fmt.Sprintf("no sample of a %T", v))
}

func samplesOf[T any](l strictyaml.Sequence[T]) (all []string) {
	for _, entry := range samples(l.Entry(new(T))) {
		all = append(all, "["+entry+"]")
	}
	return all
}

// samplesOfFields returns mappings of one field each, with the required ones.
func samplesOfFields(fields []strictyaml.Field) (all []string) {
	for _, f := range fields {
		required := ""
		for _, other := range fields {
			if other.Required && other.Key != f.Key {
				required += other.Key + ": " + samples(other.Value)[0] + ", "
			}
		}
		for _, sample := range samples(f.Value) {
			all = append(all, "{"+required+f.Key+": "+sample+"}")
		}
	}
	return all
}

// checkRoundTrip checks that the canonical form of s is equal to s.
func checkRoundTrip(t *testing.T, s *Scenario) {
	t.Helper()
	again, err := Parse("canonical.yaml", s.Canonical())
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, s.Canonical())
	}
	if d := diff(s, again); d != "" {
		t.Error(d)
	}
	if s.Hash() != again.Hash() {
		t.Errorf("hash %s, then %s", s.Hash(), again.Hash())
	}
}

// Random bytes are almost never a valid scenario. So the other direction has a target
// of its own: every valid scenario is equal to its canonical form.
func FuzzCanonical(f *testing.F) {
	f.Add("s", uint64(1), uint32(7), uint32(0), uint32(95_000), uint32(0), true, "1")
	f.Add("0x1f", uint64(1<<63-1), uint32(63), uint32(100_000), uint32(100_000), uint32(0xc0000207), false, "010")
	f.Add("1e3", uint64(0), uint32(889_999_999), uint32(1), uint32(1), uint32(1), true, "8080, 9148")
	f.Add("x", uint64(0), uint32(40), uint32(1), uint32(5), uint32(1), false, "{a: # ~")
	f.Fuzz(func(t *testing.T, name string, seed uint64, n, perSecond, share, host uint32, lockstep bool, value string) {
		if !namePattern.Form.MatchString(name) || !sysctl.IsValue(value) {
			return
		}
		s := Default()
		s.Name, s.Seed = name, new(seed>>1)
		s.Clients, s.Rounds = 1+int(n%MaxClients), 1+int(n%MaxRounds)
		s.Server.Address = netip.AddrPortFrom(netip.AddrFrom4(bytesOf(host)), 9000)
		lab := [][2]string{{result.DriverDocker, result.NATIPTables}, {result.DriverNetns, result.NATNFTables}, {result.DriverNetns, result.NATIPTables}}[share%3]
		s.Driver, s.NAT = lab[0], lab[1]
		if at := s.Server.Address.Addr(); s.Driver == result.DriverNetns || !at.IsGlobalUnicast() || at.As4()[0] == 0 {
			s.Server = ServerSettings{}
		}
		s.Lab = LabSettings{PostroutingRules: int(n % (MaxPostroutingRules + 1)), AllowHostSysctls: share%2 == 0}
		if s.Driver == result.DriverDocker && n%3 == 0 {
			s.Network, s.Lab.PostroutingRules, s.Lab.AllowSharedNetwork = name, 0, true
		}
		s.Load.Requests = 1 + int(n)%(DefaultPorts.Slots()/MaxClients)
		s.Load.Rate = Rate(perSecond % 100_001)
		s.Load.Timeout = 10*time.Millisecond + time.Duration(n%890_000_001)
		s.Load.Sync = []string{result.SyncBarrier, result.SyncClock}[n%2]
		if !lockstep {
			s.Load.Pattern, s.Load.Sync, s.Load.Concurrency = result.Ephemeral, "", 1+int(n%4096)
		} else {
			s.Until = Until{Hits: 1 + int(n%maxHits), RoundsMax: s.Rounds + int(share)%(MaxRounds-s.Rounds+1), TimeMax: time.Second + time.Duration(n)*time.Microsecond}
		}
		for i := range 2 + n%(MaxArms-1) {
			s.Arms = append(s.Arms, armOf(&s, i, n, host, value))
		}
		bound, rise := float64(share%100_001)/100_000, float64(share%1_000_001)/100_000
		s.Expect = []Expect{{Arm: "0", Race: result.Reproduced}, {Arm: "1", Reduction: &bound}, {Arm: "1", Race: result.Absent},
			{Arm: "1", P50: &bound}, {Arm: "1", P99: &rise}, {Arm: "0", Unexplained: &bound}}
		checkRoundTrip(t, &s)
	})
}

// armOf returns an arm that s may have. Each has another translation and another
// setting.
func armOf(s *Scenario, i, n, host uint32, value string) Arm {
	a := Arm{Name: strconv.Itoa(int(i))}
	ports := PortRange{uint16(1024 + n%64_512), 65535}
	switch i % 5 {
	case 1:
		a.Masquerade.Random = true
	case 2:
		a.Masquerade.RandomFully = true
	case 3:
		if s.Network == "" {
			a.Masquerade.ToPorts = ports
		}
	case 4:
		if s.Server == (ServerSettings{}) && s.Network == "" {
			first := netip.AddrFrom4(bytesOf(0xc612_0000 + host%(1<<17-1)))
			if s.Driver == result.DriverNetns { // which uses some addresses itself
				first = netip.AddrFrom4(bytesOf(0xc613_0000 + host%(1<<16-1)))
			}
			a.SNAT = SNATOptions{ToSource: []netip.Addr{first, first.Next()}, RandomFully: n%2 == 0}
		}
	}
	set := []sysctl.Setting{{Name: "net.ipv4.tcp-" + a.Name, Value: value}, {Name: "net.A", Value: strconv.Itoa(int(n))}}
	switch i % 6 {
	case 1:
		a.ClientPorts = result.SplitPorts
	case 2:
		if s.Load.Pattern == result.Ephemeral {
			a.ClientPortRange = ports
		}
	case 3:
		a.Sysctls.Clients = set
	case 4:
		if s.Server == (ServerSettings{}) {
			a.Sysctls.Server = set
		}
	case 5:
		if s.Driver == result.DriverNetns || s.Lab.AllowHostSysctls {
			a.Sysctls.Router = set
		}
	}
	return a
}

func bytesOf(host uint32) (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], host)
	return b
}
