package nat

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/undo"
)

// Chains of iptables hold rules of other programs too, and one of them may have
// the same words as ours. So a rule that snatlab writes there carries a mark: a
// comment that names the run. The mark decides which rule is ours, both when the
// rule is read and when it is removed. Texts that are shown do not contain it.
//
// A journal in memory belongs to a private namespace, in which no other program
// writes rules. Rules there carry no mark, so the kernel needs no xt_comment.

// markOf returns the mark of the rules that are written for a journal, or an
// empty string if they carry none.
func markOf(j *undo.Journal) string {
	if j.RunID() == "" {
		return ""
	}
	return markPrefix + j.RunID()
}

const markPrefix = "snatlab-"

// markForm matches a mark. Every version of iptables prints these characters
// without quotes.
var markForm = regexp.MustCompile(`^` + markPrefix + `[A-Za-z0-9_-]{1,100}$`)

// splitMark separates the text of a rule from its mark. Any other comment stays
// in the text.
func splitMark(line string) (text, mark string) {
	spec, err := iptables.SplitRule(line)
	at := slices.Index(spec, "--comment")
	if err != nil || at < 2 || at+1 == len(spec) || !markForm.MatchString(spec[at+1]) ||
		!slices.Equal(spec[at-2:at], []string{"-m", "comment"}) {
		return line, ""
	}
	mark = spec[at+1]
	rest := slices.Delete(slices.Clone(spec), at-2, at+2)
	for _, words := range []string{commentText(mark), fmt.Sprintf(" -m comment --comment %q", mark)} { // old versions quote it
		text := strings.Replace(line, words, "", 1)
		if got, err := iptables.SplitRule(text); err == nil && text != line && slices.Equal(got, rest) {
			return text, mark
		}
	}
	return line, ""
}

func commentText(mark string) string { return " -m comment --comment " + mark }

// markedLine returns the rule with its mark, as iptables prints it. Only a rule
// with a target can carry a mark.
func (r rule) markedLine() string {
	if r.mark == "" {
		return r.text
	}
	return strings.Replace(r.text, " -j ", commentText(r.mark)+" -j ", 1)
}

// markedSpec returns the words of the rule after "-A CHAIN", the mark included.
// The rule is one of snatlab's, so its words can be split.
func (r rule) markedSpec() []string {
	spec, _ := iptables.SplitRule(r.markedLine())
	return spec
}

// String returns the text of the rule for an error, with the run that left the
// rule.
func (r rule) String() string {
	if r.mark == "" {
		return fmt.Sprintf("%q", r.text)
	}
	return fmt.Sprintf("%q, which run %s of snatlab left", r.text, strings.TrimPrefix(r.mark, markPrefix))
}

// equals reports whether two rules have the same text and the same mark.
func (r rule) equals(other rule) bool { return r.text == other.text && r.mark == other.mark }

// countRule returns how many rules are equal to r, the mark included.
func countRule(rules []rule, r rule) int {
	n := 0
	for _, other := range rules {
		if other.equals(r) {
			n++
		}
	}
	return n
}

// ambiguousRuleError returns the error for a rule without a mark that exists more
// than once.
func ambiguousRuleError(place string, rules []rule, r rule) error {
	return fmt.Errorf("%s holds %q more than once (%s), and none of them is marked as snatlab's: remove the one that is not yours by hand",
		place, r.text, listPositions(rules, r.text))
}

// listPositions returns the positions of the rules with a text, whatever their
// marks: "rules 2 and 4".
func listPositions(rules []rule, text string) string {
	var at []string
	for i, r := range rules {
		if r.text == text {
			at = append(at, fmt.Sprint(i+1))
		}
	}
	if len(at) == 1 {
		return "rule " + at[0]
	}
	return "rules " + strings.Join(at[:len(at)-1], ", ") + " and " + at[len(at)-1]
}
