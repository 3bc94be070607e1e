package conntrack

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

func TestReadAgreesWithTheFileCPUByCPU(t *testing.T) {
	namespace(t)
	translate(t)
	happen(t)
	s := snapshot(t)
	text, err := os.ReadFile(statFile)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseStat(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(s.CPUs) {
		t.Fatalf("%d rows in the file, %d CPUs", len(rows), len(s.CPUs))
	}
	for i, c := range s.CPUs {
		if i > 0 && c.id <= s.CPUs[i-1].id {
			t.Errorf("CPU %d comes after CPU %d", c.id, s.CPUs[i-1].id)
		}
		for name, got := range map[string]uint32{
			"found": c.stats.Found, "invalid": c.stats.Invalid, "insert": c.stats.Insert, "insert_failed": c.stats.InsertFailed, "drop": c.stats.Drop,
			"early_drop": c.stats.EarlyDrop, "icmp_error": c.stats.Error, "search_restart": c.stats.SearchRestart,
		} {
			is(t, c.id, name+" in the file", rows[i].findColumn(name), int64(got))
		}
		is(t, c.id, "entries in the file", rows[i].findColumn("entries"), int64(s.Entries))
	}
}

func TestDeltaTellsWhatHappened(t *testing.T) {
	namespace(t)
	translate(t)
	before := snapshot(t)
	happen(t)
	d, err := Delta(before, snapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	// found depends on how often the kernel tries, and search_restart is noise.
	if d.Insert != 1 || d.InsertFailed != 1 || d.Drop != 1 || d.Found < 2 || d.Invalid != 0 || d.EarlyDrop != 0 || d.Error != 0 {
		t.Errorf("counted %+v", d.Counters)
	}
	if d.ClashResolve != nil && *d.ClashResolve != 0 || d.ChainTooLong != nil && *d.ChainTooLong != 0 {
		t.Errorf("clashes resolved %v, long chains %v", d.ClashResolve, d.ChainTooLong)
	}
}

// happen moves some counters.
func happen(t *testing.T) {
	t.Helper()
	server := listen(t)
	// found: behind one address, the second client cannot keep its port.
	port := connect(t, at("1.1", 0), server).Port()
	connect(t, at("1.2", port), server)
	// insert_failed and drop: behind one port, the second client has none.
	if err := send(t, at("1.1", 1000), server); err != nil {
		t.Fatal(err)
	}
	if err := send(t, at("1.2", 1000), server); !errors.Is(err, unix.EPERM) {
		t.Fatalf("a packet without a port of its own: %v, want %v", err, unix.EPERM)
	}
	// insert: an entry made by hand.
	byHand := conntrack.NewFlow(unix.IPPROTO_TCP, 0, netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.1.1"), 1000, 2000, 60, 0)
	if err := dial(t).Create(byHand); err != nil {
		t.Fatal(err)
	}
}

func snapshot(t *testing.T) Snapshot {
	t.Helper()
	s, err := ReadSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEntriesGrowsByTheConnectionsThatAreMade(t *testing.T) {
	namespace(t)
	server := listen(t)
	before := snapshot(t)
	if before.Max == 0 || before.Entries > before.Max {
		t.Errorf("%d of %d entries", before.Entries, before.Max)
	}
	const n = 25
	for range n {
		connect(t, at("0.1", 0), server)
	}
	after := snapshot(t)
	if after.Entries != before.Entries+n || after.Max != before.Max {
		t.Errorf("%d of %d entries, then %d of %d, for %d connections", before.Entries, before.Max, after.Entries, after.Max, n)
	}
	if d, err := Delta(before, after); err != nil || d.Entries != after.Entries {
		t.Errorf("delta has %d entries (%v), want the level after, %d", d.Entries, err, after.Entries)
	}
}

func TestTheCountersThatTheKernelHasAreKnown(t *testing.T) {
	namespace(t)
	text, err := os.ReadFile(statFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range snapshot(t).CPUs {
		if has := strings.Contains(string(text), "clashres"); has != (c.clashResolve != nil) {
			t.Errorf("CPU %d: clash_resolve %v, in the file: %v", c.id, c.clashResolve, has)
		}
		if has := strings.Contains(string(text), "chainlength"); has != (c.chainTooLong != nil) {
			t.Errorf("CPU %d: chaintoolong %v, in the file: %v", c.id, c.chainTooLong, has)
		}
	}
}

func TestReadSaysWhatPrivilegeItTakes(t *testing.T) {
	namespace(t)
	withoutNetAdmin(t)
	_, err := ReadSnapshot()
	if !errors.Is(err, unix.EPERM) || !strings.HasSuffix(err.Error(), "(it takes CAP_NET_ADMIN: run as root)") {
		t.Errorf("error %v", err)
	}
}

// withoutNetAdmin takes the capability from this thread, which is the
// namespace's and ends with the test.
func withoutNetAdmin(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	sets[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if err := unix.Capset(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
}
