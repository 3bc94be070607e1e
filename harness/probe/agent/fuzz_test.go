package agent

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// Whatever a server receives, each line has one answer, which the controller can read,
// and no port is open at the end.
func FuzzOrders(f *testing.F) {
	messages, err := os.ReadFile("../testdata/messages.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(messages)) {
		f.Add([]byte(line))
		f.Add([]byte(greeting + line + `{"v":7,"finish":{}}`))
	}
	for _, line := range []string{strings.Repeat("[", 20_000), "\xff\x00", "GET / HTTP/1.1\r\nHost: x\r\n\r"} {
		f.Add([]byte(line + "\n"))
		f.Add([]byte(greeting + line + "\n" + `{"v":7,"finish":{}}`))
	}
	f.Add([]byte(greeting + `{"v":7,"listen":{"port":39001}}` + "\n" + `{"v":7,"listen":{"port":39002}}` + "\n" + `{"v":7,"finish":{}}` + "\n"))
	f.Add(bytes.Repeat([]byte("x"), probe.MaxOrder+1))
	f.Fuzz(func(t *testing.T, says []byte) {
		agent := Agent{Role: probe.RoleServer, Address: netip.MustParseAddr("127.0.0.1"), Ports: &scenario.PortRange{First: 39000, Last: 39003}}
		var out bytes.Buffer
		err := agent.Serve(bytes.NewReader(says), &out)
		if agent.open != nil {
			t.Errorf("%+v is open still", agent.open)
		}
		answers := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, line := range answers {
			m, err := probe.ParseMessage([]byte(line))
			if err != nil || (i == 0) != (m.Hello != nil) {
				t.Errorf("answer %d is %q (%v)", i, line, err)
			}
		}
		if orders := bytes.Count(says, []byte("\n")) + 1; len(answers) > 1+orders {
			t.Errorf("%d answers to %d orders (%v)", len(answers)-1, orders, err)
		}
	})
}
