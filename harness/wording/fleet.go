package wording

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// finding is what a run showed on a node: of one node, and of several.
type finding struct{ one, several string }

// findingOf returns what nodes are grouped by.
func findingOf(n result.FleetNode) finding {
	switch {
	case n.Status != result.RowOK || n.Result == nil:
		return finding{"could not be run", "could not be run"}
	case lostToRace(n.Result) >= result.Floor:
		return finding{"loses connections", "lose connections"}
	case n.Result.Verdict == result.Inconclusive:
		return finding{"shows nothing, since its control lost too little", "show nothing, since their controls lost too little"}
	}
	return finding{"loses none", "lose none"}
}

// lostToRace returns how many requests of the baseline were lost to the race.
func lostToRace(r *result.Result) int {
	if len(r.Arms) == 0 {
		return 0
	}
	return result.SumTrials(r.Arms[0].Trials, func(t result.Trial) int { return t.Causes[result.SNATRace] })
}

// FleetGroups returns a sentence for each kernel: how many of its nodes show what. Nodes that
// differ from most of their kernel are named.
func FleetGroups(f *result.Fleet) (texts []string) {
	kernels := map[string][]result.FleetNode{}
	for _, n := range f.Nodes {
		kernels[kernelOf(n)] = append(kernels[kernelOf(n)], n)
	}
	for _, kernel := range slices.Sorted(maps.Keys(kernels)) {
		findings := map[finding][]string{}
		for _, n := range kernels[kernel] {
			findings[findingOf(n)] = append(findings[findingOf(n)], n.Node)
		}
		var parts []string
		order := slices.SortedFunc(maps.Keys(findings), func(a, b finding) int {
			return cmp.Or(cmp.Compare(len(findings[b]), len(findings[a])), cmp.Compare(a.one, b.one))
		})
		for i, f := range order {
			nodes := findings[f]
			part := format.Plural(len(nodes), "node "+f.one, "nodes "+f.several)
			if i > 0 || len(order) > 1 && len(findings[order[1]]) == len(nodes) {
				part += " (" + strings.Join(nodes, ", ") + ")"
			}
			parts = append(parts, part)
		}
		texts = append(texts, kernel+": "+strings.Join(parts, ", "))
	}
	return texts
}

func kernelOf(n result.FleetNode) string {
	if n.Result == nil {
		return "kernel unknown"
	}
	return "Linux " + n.Result.Environment.Kernel
}

// FleetAnswer counts the outcomes, the worst first.
func FleetAnswer(f *result.Fleet) string {
	return strings.Replace(strings.Replace(MatrixAnswer(f.AsMatrix()), "kernels: ", "nodes: ", 1), "kernel: ", "node: ", 1)
}
