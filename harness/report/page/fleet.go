package page

import (
	"fmt"
	"io"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteFleet writes fleet.html: the nodes as a heat table, what the nodes of each kernel
// have in common, and what remains of the failures on each.
func WriteFleet(w io.Writer, f *result.Fleet) error {
	p := drawMatrix(f.AsMatrix())
	p.Command, p.Rows = "fleet", "Nodes"
	p.Answer, p.Changes = wording.FleetAnswer(f), wording.FleetGroups(f)
	p.Heat.Head[0] = "node"
	p.Heat.Head = append(p.Heat.Head, "kernel", "CPUs")
	for i, n := range f.Nodes {
		kernel, cpus := format.None, format.None
		if n.Result != nil {
			kernel, cpus = n.Result.Environment.Kernel, thousands(n.Result.Environment.CPUs)
			if k := n.Result.Environment.Kubernetes; k != nil && len(k.Rules) > 0 {
				p.Rules = append(p.Rules, nodeRules(n.Node, k.Rules))
			}
		}
		p.Heat.Rows[i].Text = []string{kernel, cpus}
	}
	if more := len(f.Nodes) - rowsDrawn; more > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("What remains is drawn of the first %s nodes; that of the other %s is in the table.", thousands(rowsDrawn), thousands(more)))
	}
	return write(w, "matrix.html", p)
}

// nodeRulesMax bounds the rules of a node that a page shows.
const nodeRulesMax = 10

func nodeRules(node string, rules []string) rule {
	shown := slices.Clone(rules[:min(len(rules), nodeRulesMax)])
	if more := len(rules) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %s more, in fleet.json", thousands(more)))
	}
	return rule{Name: node, Lines: shown}
}
