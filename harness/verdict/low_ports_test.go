package verdict

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

// A rule that draws ports below those of clients has a warning, if clients have none there
// and the server saw one.
func TestWarnLowPorts(t *testing.T) {
	t.Parallel()
	drawing, kept := &result.RuleOptions{RandomFully: true}, &result.RuleOptions{}
	clients := func(first, last int) *result.Ports { return &result.Ports{First: first, Last: last} }
	seen := func(connections ...int) *result.SourcePorts {
		p := &result.SourcePorts{}
		for i, n := range connections {
			p.Connections += n
			p.Ranges = append(p.Ranges, result.PortBlock{Ports: result.PortRanges[i], Connections: n})
		}
		return p
	}
	for name, test := range map[string]struct {
		arm  result.Arm
		want []result.Warning
	}{
		"draws all ports": {result.Arm{Options: drawing, ClientPorts: clients(32768, 40000), SourcePorts: seen(0, 49, 44, 7)},
			[]result.Warning{{Code: result.DrawsLowPorts, Arm: "a", Count: 56, Of: 100}}},
		"draws high ports alone":        {result.Arm{Options: drawing, ClientPorts: clients(32768, 40000), SourcePorts: seen(0, 0, 90, 10)}, nil},
		"keeps ports, or most of them":  {result.Arm{Options: kept, ClientPorts: clients(32768, 40000), SourcePorts: seen(0, 10, 90, 0)}, nil},
		"has clients with low ports":    {result.Arm{Options: drawing, ClientPorts: clients(20000, 40000), SourcePorts: seen(0, 49, 44, 7)}, nil},
		"is of a result without ports":  {result.Arm{Options: drawing, ClientPorts: clients(32768, 40000)}, nil},
		"is of a result without ranges": {result.Arm{Options: drawing, ClientPorts: clients(32768, 40000), SourcePorts: &result.SourcePorts{Connections: 9}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.arm.Name = "a"
			if d := cmp.Diff(test.want, warnLowPorts([]result.Arm{test.arm})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
