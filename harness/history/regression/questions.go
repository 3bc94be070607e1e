package regression

import (
	"iter"
	"maps"
	"slices"

	"snatlab/harness/history/store"
	"snatlab/harness/result"
)

// questions is the table of all questions, in the order in which they are asked.
var questions = []question{
	{kind: result.RemainingRose, ofArm: listMitigationSubjects, askNight: (*night).askRemaining, askGroups: (*comparison).askRemaining},
	{kind: result.VerdictFell, ofArm: listMitigationSubjects, askGroups: (*comparison).askVerdict},
	{kind: result.FailuresRose, ofArm: listMitigationSubjects, askGroups: (*comparison).askFailures},
	{kind: result.NewCause, ofArm: listCauseSubjects, askNight: (*night).askCause, askGroups: (*comparison).askCause},
	{kind: result.ExpectationBroken, ofScenario: listExpectationSubjects, askNight: (*night).askExpectation, askGroups: (*comparison).askExpectation},
	{kind: result.Shift, ofScenario: listBaselineSubjects, askNight: (*night).askShift, askGroups: (*comparison).askShift},
}

// A question is one kind of finding. It is asked about each of its subjects, in a
// night and between two groups of runs. askNight is nil for questions about results
// without shares that remain, which no night makes.
type question struct {
	kind       result.FindingKind
	ofArm      func(arm int, runs []result.RunSummary) []subject // of a question that is asked arm by arm
	ofScenario func(runs []result.RunSummary) []subject          // of a question about the scenario
	askNight   func(*night, subject)
	askGroups  func(*comparison, subject)
}

// A subject is what a question is asked about.
type subject struct {
	kind        result.FindingKind // of the question
	arm         string
	cause       string             // of NewCause
	expectation result.Expectation // of ExpectationBroken
}

// listSubjects yields every question with each of its subjects in the runs that are
// judged: the questions about an arm, arm by arm, and then those about the scenario.
func listSubjects(runs []result.RunSummary) iter.Seq2[question, subject] {
	return func(yield func(question, subject) bool) {
		arms := len(store.ArmNames(runs))
		for arm := range arms + 1 {
			for _, q := range questions {
				var all []subject
				switch {
				case arm < arms && q.ofArm != nil:
					all = q.ofArm(arm, runs)
				case arm == arms && q.ofScenario != nil:
					all = q.ofScenario(runs)
				}
				for _, s := range all {
					s.kind = q.kind
					if !yield(q, s) {
						return
					}
				}
			}
		}
	}
}

// listMitigationSubjects returns the arm, unless it is the baseline, which mitigates nothing.
func listMitigationSubjects(arm int, runs []result.RunSummary) []subject {
	if arm == 0 {
		return nil
	}
	return []subject{{arm: store.ArmNames(runs)[arm]}}
}

// notNew are the causes that are not asked for: other questions are about the race,
// and other traffic is no property of the arm.
var notNew = []string{result.SNATRace, result.CauseForeign}

// listCauseSubjects returns the causes that requests of an arm failed for.
func listCauseSubjects(arm int, runs []result.RunSummary) (all []subject) {
	name, found := store.ArmNames(runs)[arm], map[string]bool{}
	for _, r := range runs {
		a, _ := r.Arm(name)
		for cause := range a.Causes {
			found[cause] = true
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(found)) {
		if !slices.Contains(notNew, cause) {
			all = append(all, subject{arm: name, cause: cause})
		}
	}
	return all
}

// listExpectationSubjects returns the expectations of the scenario.
func listExpectationSubjects(runs []result.RunSummary) (all []subject) {
	for _, e := range runs[0].Expected {
		all = append(all, subject{arm: e.Arm, expectation: e})
	}
	return all
}

// listBaselineSubjects returns the first arm.
func listBaselineSubjects(runs []result.RunSummary) []subject {
	arms := store.ArmNames(runs)
	if len(arms) == 0 {
		return nil
	}
	return []subject{{arm: arms[0]}}
}

// An answer is what a run answers to a question.
type answer int

const (
	unanswered answer = iota // such a run is left out
	good
	bad
)

// collectAnswers asks each run, and returns those that answer with their answers.
func collectAnswers(runs []result.RunSummary, ask func(result.RunSummary) answer) (answered []result.RunSummary, answers []answer) {
	for _, r := range runs {
		if a := ask(r); a != unanswered {
			answered, answers = append(answered, r), append(answers, a)
		}
	}
	return answered, answers
}

// judgeMitigation returns good if the arm is mitigated. An undecided arm gives no answer.
func judgeMitigation(r result.RunSummary, arm string) answer {
	switch a, ok := r.Arm(arm); {
	case !ok, !isDecided(a):
		return unanswered
	case a.Verdict == result.Mitigated:
		return good
	default:
		return bad
	}
}

// isDecided reports whether a run has a verdict about the arm.
func isDecided(a result.ArmSummary) bool {
	return a.Verdict != "" && a.Verdict != result.ArmInconclusive && a.Verdict != result.Undecided
}

// isMostlyMitigated reports whether the arm is mitigated in most of the runs that
// decide it.
func isMostlyMitigated(runs []result.RunSummary, arm string) bool {
	mitigated, decided := 0, 0
	for _, r := range runs {
		if a, ok := r.Arm(arm); ok && isDecided(a) {
			decided++
			if a.Verdict == result.Mitigated {
				mitigated++
			}
		}
	}
	return 2*mitigated > decided
}

// judgeCause returns bad if at least [result.Floor] requests of the arm failed for the
// cause.
func judgeCause(r result.RunSummary, arm, cause string) answer {
	switch a, ok := r.Arm(arm); {
	case !ok:
		return unanswered
	case a.Causes[cause] >= result.Floor:
		return bad
	default:
		return good
	}
}

// judgeExpectation returns good if the expectation holds in the run. A run without the race is
// inconclusive, and does not break the expectation that the race occurs.
func judgeExpectation(r result.RunSummary, expected result.Expectation) answer {
	if r.Verdict == result.Inconclusive && expected.Race == result.Reproduced {
		return unanswered
	}
	e, ok := findExpectation(r, expected)
	switch {
	case !ok, e.Held == nil:
		return unanswered
	case *e.Held:
		return good
	default:
		return bad
	}
}

// findExpectation finds the same expectation in a run.
func findExpectation(r result.RunSummary, expected result.Expectation) (result.Expectation, bool) {
	for _, e := range r.Expected {
		if e.Key() == expected.Key() {
			return e, true
		}
	}
	return result.Expectation{}, false
}
