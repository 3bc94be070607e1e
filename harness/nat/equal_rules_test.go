package nat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// The operator's rules in these tests have the same words as ours.

const (
	plain     = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"
	fully     = plain + " --random-fully"
	theirRule = "-A POSTROUTING -s 10.1.0.0/16 ! -o docker0 -j MASQUERADE"
	leftRule  = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -m comment --comment snatlab-old -j MASQUERADE --random-fully"
)

// listMarked returns the rules as iptables prints them, marks included.
func listMarked(t *testing.T, tables variant) []string {
	t.Helper()
	return nattest.SplitLines(netnstest.Run(t, tables.Path+" -t nat -S POSTROUTING 2>/dev/null"))[1:]
}

// makeUnmarked makes the rule without our mark, as its owner does, and a journal
// for changes to it.
func makeUnmarked(t *testing.T, f firewall) (*Rule, *undo.Journal) {
	t.Helper()
	r, err := f.masquerade(t.Context(), undo.InMemory(Undoers()))
	if err != nil {
		t.Fatal(err)
	}
	j, _ := nattest.NewJournal(t, Undoers())
	return r, j
}

func TestRefuseEqualRule(t *testing.T) {
	for name, c := range map[string]struct {
		rules []string
		want  string
	}{
		"the new text is there, after the rule": {[]string{plain, theirRule, fully},
			fmt.Sprintf("POSTROUTING holds the new text already: rule 3 is %q, rule 1, which would get the same text, is %q; nothing was changed (remove rule 3, or leave out the arm that asks for this text)", fully, plain)},
		"the new text is there, before the rule": {[]string{fully, plain},
			fmt.Sprintf("POSTROUTING holds the new text already: rule 1 is %q, rule 2, which would get the same text, is %q; nothing was changed (remove rule 1, or leave out the arm that asks for this text)", fully, plain)},
		"an earlier run left it": {[]string{plain, leftRule},
			fmt.Sprintf("POSTROUTING holds the new text already: rule 2 is %q, which run old of snatlab left, rule 1, which would get the same text, is %q; nothing was changed (remove rule 2, or leave out the arm that asks for this text)", fully, plain)},
		"the rule is there twice": {[]string{plain, theirRule, plain},
			fmt.Sprintf("POSTROUTING holds this text more than once: rule 1 is %q, rule 3 is %q; it is unknown which one is the network's, so nothing was changed (remove one of them)", plain, plain)},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				for _, r := range c.rules {
					netnstest.Run(t, tables.Path+" -t nat "+r)
				}
				before := tables.listCounted(t)
				j, path := nattest.NewJournal(t, Undoers())
				header := nattest.ReadFile(t, path)
				r := findOurs(t, tables)
				text := "rewrite masquerade rule " + plain + ": " + c.want
				if err := r.Check(t.Context(), snat.Options{}, snat.Options{RandomFully: true}); err == nil || err.Error() != text {
					t.Errorf("checked: error %v\nwant  %s", err, text)
				}
				if _, err := r.Apply(t.Context(), j, snat.Options{RandomFully: true}); err == nil || err.Error() != text {
					t.Errorf("applied: error %v\nwant  %s", err, text)
				}
				if nattest.ReadFile(t, path) != header {
					t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
				}
				nattest.CloseJournal(t, j)
				tables.checkUnchanged(t, before)
			})
		})
	}
}

func TestCheck(t *testing.T) {
	eachFirewall(t, func(t *testing.T, f firewall) {
		r, _ := makeUnmarked(t, f)
		f.add(t, f.theirs(1))
		before := nattest.ListAllRules(t, true)
		if err := r.Check(t.Context(), append([]snat.Options{{}}, f.network().Rewritings()...)...); err != nil {
			t.Error(err)
		}
		f.add(t, f.ours(snat.Options{Random: true}))
		if err := r.Check(t.Context(), snat.Options{}, snat.Options{RandomFully: true}); err != nil {
			t.Errorf("no arm asks for it: %v", err)
		}
		if err := r.Check(t.Context(), snat.Options{RandomFully: true}, snat.Options{Random: true}); err == nil {
			t.Error("an existing text is not refused")
		}
		f.remove(t, 3)
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	})
}

// An operator inserts equal rules while ours is applied. Undoing leaves them.
func TestUndoLeavesEqual(t *testing.T) {
	for name, c := range map[string]struct{ before, between, want []string }{
		"before ours":                     {[]string{theirRule, plain}, []string{strings.Replace(fully, "-A", "-I", 1)}, []string{fully, theirRule, plain}},
		"after ours":                      {[]string{plain, theirRule}, []string{fully}, []string{plain, theirRule, fully}},
		"twice":                           {[]string{plain}, []string{fully, fully}, []string{plain, fully, fully}},
		"and the owner rewrote the rule":  {[]string{plain}, []string{fully, plain}, []string{fully, plain}},
		"and another program copied ours": {[]string{plain}, []string{fully, strings.Replace(leftRule, "-old", "-run", 1)}, []string{plain, fully}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				for _, r := range c.before {
					netnstest.Run(t, tables.Path+" -t nat "+r)
				}
				j, path := nattest.NewJournal(t, Undoers())
				applyOptions(t, findOurs(t, tables), j, snat.Options{RandomFully: true})
				for _, r := range c.between {
					netnstest.Run(t, tables.Path+" -t nat "+r)
				}
				for range 2 {
					replayCopy(t, path)
					if got := listMarked(t, tables); !slices.Equal(got, c.want) {
						t.Errorf("the chain reads %q, want %q", got, c.want)
					}
				}
			})
		})
	}
}

// A process can die after the step is journalled and before the change is made.
func TestUndoNothingWritten(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		r := func(text string) rule { return rule{text: text, mark: "snatlab-run"} }
		masqueradeStep := undo.NewStep(masqueradeKind, "", "", masqueradeStep{Path: tables.Path, Spec: r(plain).markedSpec()})
		acceptStep := undo.NewStep(acceptKind, "", "", acceptStep{Path: tables.Path, Chain: iptables.UserChain, Spec: r(acceptText("a", "b")).markedSpec()})
		steps := []undo.Step{iptablesBackend(tables).newRewriteStep(rule{text: plain}, r(fully), true), masqueradeStep, acceptStep}
		for _, rule := range []string{plain, theirRule, fully, fully} {
			netnstest.Run(t, tables.Path+" -t nat "+rule)
		}
		netnstest.Run(t, fmt.Sprintf("%[1]s -N DOCKER-USER && %[1]s -A DOCKER-USER -i a -o b -j ACCEPT && %[1]s -A DOCKER-USER -j RETURN", tables.Path))
		before := nattest.ListAllRules(t, true)
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	})
}

// A process can die between the two commands that rewrite or restore a rule.
func TestUndoHalfChange(t *testing.T) {
	mine := strings.Replace(leftRule, "-old", "-run", 1)
	for name, c := range map[string]struct{ rules, want []string }{
		"while_it_was_rewritten":             {[]string{mine, plain, fully}, []string{plain, fully}},
		"while_it_was_restored":              {[]string{fully, plain, mine}, []string{fully, plain}},
		"before_it_was_restored":             {[]string{fully, mine, fully}, []string{fully, plain, fully}},
		"after_it_was_restored":              {[]string{plain, fully}, []string{plain, fully}},
		"after_its_owner_deleted_it_as_well": {[]string{fully}, []string{fully}},
	} {
		t.Run(name, func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				for _, r := range c.rules {
					netnstest.Run(t, tables.Path+" -t nat "+r)
				}
				step := iptablesBackend(tables).newRewriteStep(rule{text: plain}, rule{text: fully, mark: "snatlab-run"}, false)
				for range 2 {
					if err := Undoers().UndoAll(t.Context(), []undo.Step{step}); err != nil {
						t.Error(err)
					}
					if got := listMarked(t, tables); !slices.Equal(got, c.want) {
						t.Errorf("the chain reads %q, want %q", got, c.want)
					}
				}
			})
		})
	}
}

// Without a mark, ours cannot be distinguished from other rules of the same
// text, so undoing is refused.
func TestUndoUnmarkedEqual(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		netnstest.Run(t, tables.Path+" -N DOCKER-USER")
		for _, rule := range []string{"-t nat " + fully, "-t nat " + theirRule, "-t nat " + fully, "-t nat " + plain, "-t nat " + plain,
			acceptText("a", "b"), acceptText("a", "b")} {
			netnstest.Run(t, tables.Path+" "+rule)
		}
		before := nattest.ListAllRules(t, true)
		for _, c := range []struct {
			step undo.Step
			want string
		}{
			{undo.NewStep(rewriteKind, "", "", stepOf(tables)), fmt.Sprintf("POSTROUTING holds %q more than once (rules 1 and 3)", fully)},
			{undo.NewStep(masqueradeKind, "", "", masqueradeStep{Path: tables.Path, Spec: rule{text: plain}.markedSpec()}), fmt.Sprintf("POSTROUTING holds %q more than once (rules 4 and 5)", plain)},
			{undo.NewStep(acceptKind, "", "", acceptStep{Path: tables.Path, Chain: iptables.UserChain, Spec: rule{text: acceptText("a", "b")}.markedSpec()}),
				fmt.Sprintf("DOCKER-USER holds %q more than once (rules 1 and 2)", acceptText("a", "b"))},
		} {
			err := Undoers()[c.step.Kind](t.Context(), c.step.Args)
			if want := c.want + ", and none of them is marked as snatlab's: remove the one that is not yours by hand"; err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	})
}

// Without xt_comment the rules carry no mark.
func TestWriteUnmarked(t *testing.T) {
	none := func(t *testing.T, tables variant) variant {
		return replaceProgram(t, tables, `
case "$*" in *" --comment "*) case "$*" in *" -I "*|*" -A "*)
	echo 'iptables: No chain/target/match by that name.' >&2; exit 1
esac; esac`)
	}
	t.Run("rules_are_written_and_undone", func(t *testing.T) {
		eachVariant(t, func(t *testing.T, tables variant) {
			netnstest.Run(t, tables.Path+" -N DOCKER-USER; "+tables.Path+" -t nat "+plain)
			before := nattest.ListAllRules(t, false)
			old := none(t, tables)
			j, path := nattest.NewJournal(t, Undoers())
			insertAccept(t, old, j, "snat-c", "snat-s")
			f := applyOptions(t, findOurs(t, old), j, snat.Options{RandomFully: true})
			checkPackets(t, f, 0)
			if got := listMarked(t, tables); !slices.Equal(got, []string{fully}) {
				t.Errorf("the chain reads %q", got)
			}
			if got := netnstest.Run(t, tables.Path+" -S DOCKER-USER"); got != "-N DOCKER-USER\n"+acceptText("snat-c", "snat-s")+"\n" {
				t.Errorf("the chain reads %q", got)
			}
			replayCopy(t, path)
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
		})
	})
	t.Run("equal_rules_are_refused", func(t *testing.T) {
		eachVariant(t, func(t *testing.T, tables variant) {
			netnstest.Run(t, tables.Path+" -N DOCKER-USER; "+tables.Path+" "+acceptText("snat-c", "snat-s"))
			before := nattest.ListAllRules(t, false)
			j, _ := nattest.NewJournal(t, Undoers())
			err := InsertAccept(t.Context(), j, none(t, tables).Program, "snat-c", "snat-s")
			want := fmt.Sprintf("insert rule into DOCKER-USER: rule 1 of DOCKER-USER is %q: it exists already, so this run did not make it (find out who did; snatlab cleanup removes what an earlier run left)", acceptText("snat-c", "snat-s"))
			if err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
			nattest.CloseJournal(t, j)
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
		})
	})
}

func TestSplitMark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, text, mark string }{
		{leftRule, fully, "snatlab-old"},
		{strings.Replace(leftRule, "snatlab-old", `"snatlab-old"`, 1), fully, "snatlab-old"},
		{plain, plain, ""},
		{"-A P -m comment --comment snatlab -j X", "-A P -m comment --comment snatlab -j X", ""},
		{"-A P -m comment --comment theirs -j X", "-A P -m comment --comment theirs -j X", ""},
		{`-A P -m comment --comment "snatlab-a b" -j X`, `-A P -m comment --comment "snatlab-a b" -j X`, ""},
		{`-A P -m comment --comment "x -m comment --comment snatlab-a" -j X`, `-A P -m comment --comment "x -m comment --comment snatlab-a" -j X`, ""},
		{`-A P -m comment --comment "x -m comment --comment snatlab-a" -m comment --comment snatlab-a -j X`,
			`-A P -m comment --comment "x -m comment --comment snatlab-a" -m comment --comment snatlab-a -j X`, ""},
		{"-A P -j LOG --log-prefix --comment", "-A P -j LOG --log-prefix --comment", ""},
	} {
		if text, mark := splitMark(c.line); text != c.text || mark != c.mark {
			t.Errorf("%s\nis read as %s, %s", c.line, text, mark)
		}
	}
}
