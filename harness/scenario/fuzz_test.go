package scenario

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Whatever the bytes, they are a scenario that its canonical form gives again,
// or faults that have a place. A driver that the command line may give it makes
// another such scenario.
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
		minimal + "expect: [{arm: b, reduction: '>=99.9 %'}, {arm: a, race: absent}]\n",
		"{name: '1', arms: [{name: \"true\", masquerade: {random: true}}]}",
		"name: &a s\narms: &b [*a, {<<: *b}, !x {name: !!str y}]\n? [k]\n: v\n",
		"name: s\narms: [{name: a}, {name: a}]\nclients: 64\nload: {requests: 30000, sync: clock}\n",
		"name: |\n  s\nseed: 0x10\nrounds: ~\nclients: -1\n",
		"expect: >=95%\n", "\xff\xfe", "a: \x01\n", "%YAML 1.1\n---\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) == 0 || s != nil {
				t.Fatalf("%T: %v, and %v", err, err, s)
			}
			for _, fault := range faults {
				if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
					t.Errorf("no place: %s", fault)
				}
			}
			return
		}
		comesBack(t, s)
		for _, driver := range drivers {
			if err := s.SetDriver(driver); err == nil {
				comesBack(t, s)
			}
		}
	})
}

// comesBack holds that the canonical form of s is s.
func comesBack(t *testing.T, s *Scenario) {
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

// Random bytes are hardly ever a valid scenario, so the other direction has a
// target of its own: every valid scenario comes back from its canonical form.
func FuzzCanonical(f *testing.F) {
	f.Add("s", uint64(1), uint32(7), uint32(0), uint32(95_000), uint32(0), true)
	f.Add("0x1f", uint64(1<<63-1), uint32(63), uint32(100_000), uint32(100_000), uint32(0xc0000207), false)
	f.Add("1e3", uint64(0), uint32(889_999_999), uint32(1), uint32(1), uint32(1), true)
	f.Fuzz(func(t *testing.T, name string, seed uint64, n, perSecond, share, host uint32, lockstep bool) {
		if !names.form.MatchString(name) {
			return
		}
		s := Default()
		s.Name, s.Seed = name, seed>>1
		s.Clients, s.Rounds = 1+int(n%MaxClients), 1+int(n%MaxRounds)
		s.Server.Address = netip.AddrPortFrom(netip.AddrFrom4(bytesOf(host)), 9000)
		lab := [][2]string{{Docker, IPTables}, {Netns, NFTables}, {Netns, IPTables}}[share%3]
		s.Driver, s.NAT = lab[0], lab[1]
		if s.Driver == Netns || !s.Server.Address.Addr().IsGlobalUnicast() {
			s.Server = Server{}
		}
		s.Load.Requests = 1 + int(n)%(MaxTrial/MaxClients)
		s.Load.Rate = Rate(perSecond % 100_001)
		s.Load.Timeout = 10*time.Millisecond + time.Duration(n%890_000_001)
		s.Load.Sync = []string{Barrier, Clock}[n%2]
		if !lockstep {
			s.Load.Pattern, s.Load.Sync, s.Load.Concurrency = Ephemeral, "", 1+int(n%4096)
		}
		for i := range 2 + n%(MaxArms-1) {
			random := i % 3
			s.Arms = append(s.Arms, Arm{strconv.Itoa(int(i)), Masquerade{random == 1, random == 2}})
		}
		least := float64(share%100_001) / 100_000
		s.Expect = []Expect{{Arm: "0", Race: Reproduced}, {Arm: "1", Reduction: &least}, {Arm: "1", Race: Absent}}
		comesBack(t, &s)
	})
}

func bytesOf(host uint32) (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], host)
	return b
}
