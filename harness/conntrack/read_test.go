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

// A snapshot agrees with the stat file, CPU by CPU.
func TestReadSnapshot(t *testing.T) {
	enterNamespace(t)
	addSNAT(t)
	moveCounters(t)
	s := readSnapshot(t)
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
			checkValue(t, c.id, name+" in the file", rows[i].findColumn(name), int64(got))
		}
		checkValue(t, c.id, "entries in the file", rows[i].findColumn("entries"), int64(s.Entries))
	}
}

// Delta counts the events between two snapshots.
func TestDeltaOfEvents(t *testing.T) {
	enterNamespace(t)
	addSNAT(t)
	before := readSnapshot(t)
	moveCounters(t)
	d, err := Delta(before, readSnapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	// found depends on how often the kernel tries, and search_restart is noise.
	if d.Insert != 1 || d.InsertFailed != 1 || d.Drop != 1 || d.Found < 2 || d.Invalid != 0 || d.EarlyDrop != 0 || d.Error != 0 {
		t.Errorf("counted %+v", d.ConntrackCounters)
	}
	if d.ClashResolve != nil && *d.ClashResolve != 0 || d.ChainTooLong != nil && *d.ChainTooLong != 0 {
		t.Errorf("clashes resolved %v, long chains %v", d.ClashResolve, d.ChainTooLong)
	}
}

// moveCounters makes connections that move some counters.
func moveCounters(t *testing.T) {
	t.Helper()
	server := startServer(t)
	// found: the two clients share one address, and the second cannot keep its port.
	port := connect(t, loopback("1.1", 0), server).Port()
	connect(t, loopback("1.2", port), server)
	// insert_failed and drop: the two clients share one port, and the second gets none.
	if err := sendUDP(t, loopback("1.1", 1000), server); err != nil {
		t.Fatal(err)
	}
	if err := sendUDP(t, loopback("1.2", 1000), server); !errors.Is(err, unix.EPERM) {
		t.Fatalf("a packet without a port of its own: %v, want %v", err, unix.EPERM)
	}
	// insert: an entry made by hand.
	byHand := conntrack.NewFlow(unix.IPPROTO_TCP, 0, netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.1.1"), 1000, 2000, 60, 0)
	if err := dialConntrack(t).Create(byHand); err != nil {
		t.Fatal(err)
	}
}

func readSnapshot(t *testing.T) Snapshot {
	t.Helper()
	s, err := ReadSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Entries grows by one with each connection.
func TestSnapshotEntries(t *testing.T) {
	enterNamespace(t)
	server := startServer(t)
	before := readSnapshot(t)
	if before.Max == 0 || before.Entries > before.Max {
		t.Errorf("%d of %d entries", before.Entries, before.Max)
	}
	const n = 25
	for range n {
		connect(t, loopback("0.1", 0), server)
	}
	after := readSnapshot(t)
	if after.Entries != before.Entries+n || after.Max != before.Max {
		t.Errorf("%d of %d entries, then %d of %d, for %d connections", before.Entries, before.Max, after.Entries, after.Max, n)
	}
	if d, err := Delta(before, after); err != nil || d.Entries != after.Entries {
		t.Errorf("delta has %d entries (%v), want the level after, %d", d.Entries, err, after.Entries)
	}
}

// A snapshot has clash_resolve and chaintoolong if the kernel has them.
func TestKernelCounters(t *testing.T) {
	enterNamespace(t)
	text, err := os.ReadFile(statFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range readSnapshot(t).CPUs {
		if has := strings.Contains(string(text), "clashres"); has != (c.clashResolve != nil) {
			t.Errorf("CPU %d: clash_resolve %v, in the file: %v", c.id, c.clashResolve, has)
		}
		if has := strings.Contains(string(text), "chainlength"); has != (c.chainTooLong != nil) {
			t.Errorf("CPU %d: chaintoolong %v, in the file: %v", c.id, c.chainTooLong, has)
		}
	}
}

// The error of ReadSnapshot names the privilege that it needs.
func TestReadUnprivileged(t *testing.T) {
	enterNamespace(t)
	dropNetAdmin(t)
	_, err := ReadSnapshot()
	if !errors.Is(err, unix.EPERM) || !strings.HasSuffix(err.Error(), "(this needs CAP_NET_ADMIN: run as root)") {
		t.Errorf("error %v", err)
	}
}

// dropNetAdmin drops the capability of this thread, which ends with the test.
func dropNetAdmin(t *testing.T) {
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
