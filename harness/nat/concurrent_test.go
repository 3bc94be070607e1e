package nat

import (
	"fmt"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// Docker inserts and deletes rules at any time, also between our listing of the
// chain and our change to it. The rules of other programs stay in every case.
func TestConcurrentInsert(t *testing.T) {
	const theirs = "-s 10.1.0.0/16 ! -o br-theirs -j MASQUERADE"
	rewritten := ours + " --random-fully"
	for _, c := range []struct {
		name   string
		before []string
		change func(t *testing.T, tables variant) error
		want   []string
	}{
		{"while a rule is rewritten", []string{ours}, func(t *testing.T, tables variant) error {
			j, _ := nattest.NewJournal(t, Undoers())
			_, err := findOurs(t, tables).Apply(t.Context(), j, snat.Options{RandomFully: true})
			return err
		}, []string{rewritten, theirs}},
		{"while a rule is restored", []string{rewritten}, func(t *testing.T, tables variant) error {
			return stepOf(tables).restoreRule(t.Context())
		}, []string{ours, theirs}},
		{"while a rewritten rule is deleted", []string{rewritten, ours}, func(t *testing.T, tables variant) error {
			return stepOf(tables).restoreRule(t.Context())
		}, []string{theirs, ours}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				tables.addRules(t, c.before...)
				if err := c.change(t, withIntruder(t, tables, theirs)); err != nil {
					t.Error(err)
				}
				tables.checkRules(t, c.want...)
			})
		})
	}
}

// stepOf returns the step that the journal holds after our rule was rewritten.
func stepOf(tables variant) rewriteStep {
	text := "-A POSTROUTING " + ours
	return rewriteStep{Path: tables.Path, Original: text, Rewritten: text + " --random-fully"}
}

// withIntruder returns an iptables in whose first change another program inserts
// a rule on top beforehand.
func withIntruder(t *testing.T, tables variant, rule string) variant {
	t.Helper()
	return replaceProgram(t, tables, fmt.Sprintf(`
case "$*" in *" -R "*|*" -I "*|*" -D "*)
	[ -e %[1]s/done ] || $PROGRAM -t nat -I POSTROUTING %[2]s; : >%[1]s/done
esac`, t.TempDir(), rule))
}
