package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// addMessages adds lines of either side to the seeds of a target. Some are wrong.
func addMessages(f *testing.F, add func(line string)) {
	f.Helper()
	text, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		add(strings.TrimSuffix(line, "\n"))
	}
	for _, line := range []string{strings.Repeat("[", 20_000), "\xff\x00", "GET / HTTP/1.1\r\nHost: x\r\n\r"} {
		add(line)
	}
}

// Any bytes are either refused, or are one part of this version, whose numbers are in
// range and add up after the check.
func FuzzParse(f *testing.F) {
	addMessages(f, func(line string) { f.Add([]byte(line)) })
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := ParseMessage(line)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
			return
		}
		if m.V != Version || m.countParts() != 1 {
			t.Errorf("%q: read as %+v", line, m)
		}
		if again, err := json.Marshal(m); err != nil {
			t.Error(err)
		} else if _, err := ParseMessage(again); err != nil {
			t.Errorf("%q is written as %q: %v", line, again, err)
		}
		if r := m.Report; r != nil && r.Requests <= MaxRequests && r.CheckAgainst(ClientLoad{Requests: r.Requests}) == nil {
			checkSums(t, r)
		}
	})
}

// addsUp checks that a report adds up, with numbers that do not overflow.
func checkSums(t *testing.T, r *Report) {
	t.Helper()
	sum := big.NewInt(int64(r.Succeeded))
	for _, n := range r.Failures {
		sum.Add(sum, big.NewInt(int64(n)))
	}
	measured := new(big.Int)
	for _, v := range r.Latency {
		measured.Add(measured, big.NewInt(v[1]))
	}
	if sum.Cmp(big.NewInt(int64(r.Requests))) != 0 || measured.Cmp(big.NewInt(int64(r.Succeeded))) != 0 {
		t.Errorf("%+v: %v requests, %v latencies", r, sum, measured)
	}
	seen := map[uint16]bool{}
	for _, s := range r.Silent {
		for port := int(s.First); port <= int(s.Last); port++ {
			if seen[uint16(port)] {
				t.Errorf("port %d comes twice in %+v", port, r.Silent)
			}
			seen[uint16(port)] = true
		}
	}
	if l := MergeLatencies(&r.Outcome); r.Succeeded > 0 && (l.P50 < 0 || l.P50 > l.P95 || l.P95 > l.P99 || l.P99 > l.Max) {
		t.Errorf("%+v: latency %+v", r, l)
	}
}

// Whatever a probe sends, the controller gets what it asked for, or an error that can be
// printed.
func FuzzAnswers(f *testing.F) {
	const client, server = `{"v":7,"hello":{"role":"client","cpus":[0,1],"files":20000}}` + "\n",
		`{"v":7,"hello":{"role":"server","cpus":[0],"files":99}}` + "\n" + `{"v":7,"ready":{}}` + "\n"
	addMessages(f, func(line string) {
		for _, before := range []string{"", client, server, server + `{"v":7,"ready":{}}` + "\n"} {
			f.Add([]byte(before + line + "\n"))
		}
	})
	f.Fuzz(func(t *testing.T, says []byte) {
		stream := Stream{Name: "probe", In: bytes.NewReader(says), Out: io.Discard, Close: func() error { return nil }}
		tell := func(err error) {
			if err != nil && err.Error() != printableWords(err.Error()) {
				t.Errorf("an error that steers a terminal: %q", err)
			}
		}
		if c, err := OpenClient(t.Context(), stream); err == nil {
			load := ClientLoad{Requests: 3}
			if r, err := c.Run(t.Context(), load); err == nil {
				checkSums(t, r)
			} else {
				tell(err)
			}
			tell(c.Close())
		} else {
			tell(err)
		}
		stream.In = bytes.NewReader(says)
		if s, err := OpenServer(t.Context(), stream); err == nil {
			tell(s.Listen(t.Context(), Listen{Protocol: result.TCP, Port: 1}))
			served, err := s.Finish(t.Context())
			if err == nil && served.Accepted > maxCount {
				t.Errorf("%+v", served)
			}
			tell(err)
			tell(s.Close())
		} else {
			tell(err)
		}
	})
}
