package probe

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"testing"
)

// sayings are lines of either side, some of them wrong.
var sayings = []string{
	`{"v":3,"hello":{"role":"client","cpus":[0,1],"files":20000}}`,
	`{"v":3,"hello":{"role":"server","cpus":[0,1,1023],"files":1048576,"ports":{"first":20001,"last":20064}}}`,
	`{"v":3,"hello":{"role":"client","cpus":[-1],"files":4611686018427387904}}`,
	`{"v":3,"hello":{"role":"client","cpus":[1,0,0],"files":-1,"ports":{"first":9,"last":3}}}`,
	`{"v":3,"hello":null}`, `{"v":1,"hello":{}}`, `{"v":3}`, `{"v":3,"ready":{},"error":"x"}`, `{"v":3,"go":{}}`, `null`, `[]`, `{"v":3,"hello":[]}`,
	`{"v":3,"greet":{}}`, `{"v":3,"finish":{}}`, `{"v":3,"listen":{"port":39000}}`, `{"v":3,"listen":{"port":0}}`, `{"v":3,"listen":{"port":65536}}`,
	`{"v":3,"share":{"barrier":"/proc/self/fd/3"}}`, `{"v":3,"share":{"barrier":"/etc/../etc/passwd"}}`,
	`{"v":3,"run":{"server":"198.18.1.2:20001","requests":3,"timeout":500000000,"rate":0,"concurrency":64}}`,
	`{"v":3,"run":{"server":"198.18.1.2:20001","requests":1099511627776,"timeout":-1,"rate":-9}}`,
	`{"v":3,"run":{"server":"[::1]:1","requests":1,"timeout":1}}`,
	`{"v":3,"run":{"server":"198.18.1.2:1","requests":30,"timeout":500000000,"lockstep":{"client":1,"clients":64,"cpus":2,"ports":{"first":2048,"last":3039},"own":true,"barrier":"/dev/shm/snatlab","epoch":3}}}`,
	`{"v":3,"run":{"server":"198.18.1.2:1","requests":3,"timeout":1,"lockstep":{"client":-1,"clients":9223372036854775807,"cpus":0,"base_port":65535,"own_ports":9223372036854775807,"start":-1}}}`,
	`{"v":3,"report":{"requests":3,"succeeded":2,"ports":[{"first":2048,"last":2050}],"failures":{"timeout":1},"silent":[{"first":2049,"last":2049}],"latency":[[35,1],[36,1]],"seconds":0.1,"peak_rss":9000000,"bind_errors":0,"missed":0,"made_up":1}}`,
	`{"v":3,"report":{"requests":3,"succeeded":3,"failures":{"bad luck":0},"latency":[[1,9223372036854775807],[2,9223372036854775807],[3,5]]}}`,
	`{"v":3,"report":{"requests":3,"succeeded":1,"failures":{"reset":9223372036854775807,"refused":9223372036854775807,"timeout":4},"latency":[[1,1]]}}`,
	`{"v":3,"report":{"requests":3,"succeeded":0,"failures":{"timeout":3},"silent":[{"first":5,"last":5},{"first":5,"last":5},{"first":1,"last":65535}],"ports":[{"first":0,"last":0}]}}`,
	`{"v":3,"served":{"accepted":3,"listen_overflows":0,"listen_drops":null}}`, `{"v":3,"served":{"accepted":18446744073709551615}}`,
	`{"v":3,"shared":{}}`, `{"v":3,"ready":{}}`, `{"v":3,"error":"\u001b[2Jlisten on port 1: permission denied\n"}`,
	`{"v":3,"error":"`, strings.Repeat("[", 20_000), "\xff\x00", "GET / HTTP/1.1\r\nHost: x\r\n\r",
}

// Whatever the bytes: they are refused, or one thing of this version, whose
// numbers are in range and add up once they are checked.
func FuzzParse(f *testing.F) {
	for _, line := range sayings {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parse(line)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
			return
		}
		if m.V != Version || m.parts() != 1 {
			t.Errorf("%q: read as %+v", line, m)
		}
		if again, err := json.Marshal(m); err != nil {
			t.Error(err)
		} else if _, err := parse(again); err != nil {
			t.Errorf("%q is written as %q: %v", line, again, err)
		}
		if m.Run != nil && m.Run.check(4) == nil {
			sendable(t, *m.Run)
		}
		if r := m.Report; r != nil && r.Requests <= maxRequests && r.check(Load{Requests: r.Requests}) == nil {
			addsUp(t, r)
		}
	})
}

// sendable holds that a load can be prepared for in little memory.
func sendable(t *testing.T, load Load) {
	t.Helper()
	if load.Requests < 1 || load.Requests > maxRequests || load.bound(1) <= 0 {
		t.Errorf("%+v takes %v", load, load.bound(1))
	}
	s := load.Lockstep
	if s == nil {
		return
	}
	fired := 0
	turns := schedule(s.Clients, s.CPUs, load.Requests, turnLength)
	for _, turn := range turns {
		fired += turn.slots * len(turn.members)
	}
	l := lockstep{step: *s}
	if last := l.port(load.Requests); fired != s.Clients*load.Requests || len(turns) > maxRequests || last < 1 || last > 65535 {
		t.Errorf("%+v: %d requests in %d turns, the last from port %d", *s, fired, len(turns), last)
	}
}

// addsUp holds that a report adds up in numbers that do not overflow.
func addsUp(t *testing.T, r *Report) {
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
	if l := Latency(r); r.Succeeded > 0 && (l.P50 < 0 || l.P50 > l.P95 || l.P95 > l.P99 || l.P99 > l.Max) {
		t.Errorf("%+v: latency %+v", r, l)
	}
}

// Whatever a probe says: the controller has an error that it can print, or what
// it asked for.
func FuzzAnswers(f *testing.F) {
	const client, server = `{"v":3,"hello":{"role":"client","cpus":[0,1],"files":20000}}` + "\n",
		`{"v":3,"hello":{"role":"server","cpus":[0],"files":99}}` + "\n" + `{"v":3,"ready":{}}` + "\n"
	for _, line := range sayings {
		for _, before := range []string{"", client, server, server + `{"v":3,"ready":{}}` + "\n"} {
			f.Add([]byte(before + line + "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, says []byte) {
		stream := Stream{Name: "probe", In: bytes.NewReader(says), Out: io.Discard, Close: func() error { return nil }}
		tell := func(err error) {
			if err != nil && err.Error() != printableWords(err.Error()) {
				t.Errorf("an error that steers a terminal: %q", err)
			}
		}
		if c, err := OpenClient(t.Context(), stream); err == nil {
			load := Load{Requests: 3}
			if r, err := c.Run(t.Context(), load); err == nil {
				addsUp(t, r)
			} else {
				tell(err)
			}
			tell(c.Close())
		} else {
			tell(err)
		}
		stream.In = bytes.NewReader(says)
		if s, err := OpenServer(t.Context(), stream); err == nil {
			tell(s.Listen(t.Context(), 1))
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

// Whatever comes over the network to a server: each line has one answer, which
// the controller can read, and at the end nothing is open.
func FuzzOrders(f *testing.F) {
	for _, line := range sayings {
		f.Add([]byte(line + "\n"))
		f.Add([]byte(greeting + line + "\n" + `{"v":3,"finish":{}}`))
	}
	f.Add([]byte(greeting + `{"v":3,"listen":{"port":39001}}` + "\n" + `{"v":3,"listen":{"port":39002}}` + "\n" + `{"v":3,"finish":{}}` + "\n"))
	f.Add(bytes.Repeat([]byte("x"), maxOrder+1))
	f.Fuzz(func(t *testing.T, says []byte) {
		agent := Agent{Role: RoleServer, Address: netip.MustParseAddr("127.0.0.1"), Ports: &Ports{39000, 39003}}
		var out bytes.Buffer
		err := agent.Serve(bytes.NewReader(says), &out)
		if agent.open != nil {
			t.Errorf("%+v is open still", agent.open)
		}
		answers := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, line := range answers {
			m, err := parse([]byte(line))
			if err != nil || (i == 0) != (m.Hello != nil) {
				t.Errorf("answer %d is %q (%v)", i, line, err)
			}
		}
		if orders := bytes.Count(says, []byte("\n")) + 1; len(answers) > 1+orders {
			t.Errorf("%d answers to %d orders (%v)", len(answers)-1, orders, err)
		}
	})
}
