package conntrack

import (
	"fmt"
	"testing"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
)

// The entries of a trial of 4,000 requests, deleted in batches.
func BenchmarkDelete(b *testing.B) {
	benchmarkDeletion(b, func(_ *conntrack.Conn, all []connection) error { return deleteAll(b.Context(), all...) })
}

// The same entries, deleted one by one.
func BenchmarkDeleteSingly(b *testing.B) { benchmarkDeletion(b, deleteSingly) }

func benchmarkDeletion(b *testing.B, remove func(*conntrack.Conn, []connection) error) {
	netnstest.Enter(b)
	conn, err := conntrack.Dial(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	var all []connection
	for i := range 4000 {
		all = append(all, connection{loopback("0.1", uint16(20000+i)), loopback("0.2", 80)})
	}
	for b.Loop() {
		b.StopTimer()
		create(b, conn, all)
		b.StartTimer()
		if err := remove(conn, all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(all)), "µs/entry")
}

func deleteSingly(conn *conntrack.Conn, all []connection) error {
	for _, c := range all {
		if err := conn.Delete(originalFlow(unix.IPPROTO_TCP, c[0], c[1])); err != nil {
			return err
		}
	}
	return nil
}

func create(b *testing.B, conn *conntrack.Conn, all []connection) {
	b.Helper()
	for _, c := range all {
		f := conntrack.NewFlow(unix.IPPROTO_TCP, conntrack.StatusAssured|conntrack.StatusConfirmed, c[0].Addr(), c[1].Addr(), c[0].Port(), c[1].Port(), 60, 0)
		if err := conn.Create(f); err != nil {
			b.Fatal(err)
		}
	}
}

// fillTable creates entries to 16 destinations.
func fillTable(b *testing.B, entries int) {
	b.Helper()
	conn, err := conntrack.Dial(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	var all []connection
	for i := range entries {
		all = append(all, connection{loopback(fmt.Sprintf("%d.%d", 1+i/60000/200, 1+i/60000%200), uint16(1024+i%60000)), loopback("0.2", uint16(80+i%16))})
	}
	create(b, conn, all)
}
