package probe

import (
	"fmt"
	"reflect"
	"testing"
)

// Counts are written as ranges of ports with as many connections each, and are read back.
func TestPortCounts(t *testing.T) {
	t.Parallel()
	connections := make([]uint32, 1<<16)
	connections[0], connections[1024], connections[1025], connections[1026], connections[1028], connections[65535] = 1, 2, 2, 1, 1, 3
	got := NewPortCounts(connections)
	if want := (PortCounts{{0, 0, 1}, {1024, 1025, 2}, {1026, 1026, 1}, {1028, 1028, 1}, {65535, 65535, 3}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	read := make([]uint32, 1<<16)
	got.Each(func(port, n int) { read[port] += uint32(n) })
	if !reflect.DeepEqual(read, connections) {
		t.Error("the counts are not those that were written")
	}
	if err := got.check(10); err != nil {
		t.Error(err)
	}
	if got := NewPortCounts(make([]uint32, 1<<16)); got != nil {
		t.Errorf("of no connection: %v", got)
	}
}

// The counts of a server must be ports in ascending order, and add up to its connections.
func TestCheckPortCounts(t *testing.T) {
	t.Parallel()
	const huge = 1<<63 - 1
	for _, test := range []struct {
		counts PortCounts
		want   string
	}{
		{nil, "<nil>"},
		{PortCounts{{1, 1, 3}}, "<nil>"},
		{PortCounts{{1, 3, 1}}, "<nil>"},
		{PortCounts{{7, 7, 1}, {8, 9, 1}}, "<nil>"},
		{PortCounts{}, "the source ports of 0 of 3 connections"},
		{PortCounts{{1, 2, 1}}, "the source ports of 2 of 3 connections"},
		{PortCounts{{1, 4, 1}}, "1 connections from each of the ports 1 to 4"},
		{PortCounts{{8, 8, 1}, {8, 8, 1}, {9, 9, 1}}, "1 connections from each of the ports 8 to 8"},
		{PortCounts{{8, 8, 1}, {7, 7, 2}}, "2 connections from each of the ports 7 to 7"},
		{PortCounts{{-1, 1, 1}}, "1 connections from each of the ports -1 to 1"},
		{PortCounts{{2, 1, 3}}, "3 connections from each of the ports 2 to 1"},
		{PortCounts{{65535, 65536, 1}}, "1 connections from each of the ports 65535 to 65536"},
		{PortCounts{{1, 2, 0}}, "0 connections from each of the ports 1 to 2"},
		{PortCounts{{1, 1, -3}}, "-3 connections from each of the ports 1 to 1"},
		{PortCounts{{1, 65535, huge}}, "9223372036854775807 connections from each of the ports 1 to 65535"},
	} {
		if got := fmt.Sprint(test.counts.check(3)); got != test.want {
			t.Errorf("%v: %s, want %s", test.counts, got, test.want)
		}
	}
}
