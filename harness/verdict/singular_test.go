package verdict

import (
	"fmt"
	"regexp"
	"testing"

	"snatlab/harness/result"
)

// oneOfMany finds a 1 before a word in the plural, and before the verb of one.
var oneOfMany = regexp.MustCompile(`\b1 (?:arms|rounds|runs|trials|requests|connections|clients|hits|failures|CPUs|drops|rules|addresses)\b|\b1 \w+ (?:have|are|were|give|take|keep|share|need)\b`)

// A run with one of everything is described in the singular.
func TestSingular(t *testing.T) {
	t.Parallel()
	one := func(failed int) result.Arm {
		trial := result.Trial{Round: 1, Requests: 1, Failed: failed, Causes: map[string]int{}, RulePackets: 1}
		if failed > 0 {
			trial.Causes[result.SNATRace] = 1
			trial.Conntrack.InsertFailed, trial.Conntrack.Drop = 1, 1
		}
		return result.Arm{Name: fmt.Sprintf("a%d", failed), Trials: []result.Trial{trial},
			ToSource: []string{"198.19.0.1", "198.19.0.2"}, Sources: []result.Source{{Address: "198.19.0.1", Connections: 1}},
			Options: &result.RuleOptions{RandomFully: true}}
	}
	for name, arms := range map[string][]result.Arm{
		"no_hit": {one(0)}, "one_hit": {one(1)}, "two_arms": {one(1), one(0)}, "worse_arm": {one(0), one(1)},
	} {
		for _, incomplete := range []string{"", "interrupted"} {
			t.Run(name+"/"+incomplete, func(t *testing.T) { checkSingular(t, arms, incomplete) })
		}
	}
}

func checkSingular(t *testing.T, arms []result.Arm, incomplete string) {
	r := runOf(1, arms...)
	r.Scenario.Clients, r.Scenario.Requests, r.Incomplete = 1, 1, incomplete
	r.Environment.CPUsOnline, r.Environment.Load, r.Environment.Widened = 1, &[3]float64{2, 2, 2}, 1
	for _, a := range arms {
		r.Expected = append(r.Expected,
			result.Expectation{Arm: a.Name, Race: result.Reproduced}, result.Expectation{Arm: a.Name, Race: result.Absent},
			result.Expectation{Arm: a.Name, Unexplained: new(0.5)}, result.Expectation{Arm: a.Name, Reduction: new(0.5)})
	}
	judgeAndDescribe(r)
	texts := append([]string{r.Summary}, r.Warnings...)
	for _, e := range r.Expected {
		texts = append(texts, e.Found)
	}
	for _, text := range texts {
		if found := oneOfMany.FindString(text); found != "" {
			t.Errorf("%q in %q", found, text)
		}
	}
}
