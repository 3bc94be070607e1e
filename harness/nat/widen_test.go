package nat

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/idle"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// With other rules in place, the lab's own included, neither widening nor
// undoing it changes any of them. Another process can undo it, and more than
// once.
func TestWidenAmongOthers(t *testing.T) {
	eachFirewall(t, func(t *testing.T, f firewall) {
		openNFT(t)
		f.network().AddForeignRules(t)
		r, own, _ := makeRule(t, f)
		inForce := applyOptions(t, r, own, snat.Options{RandomFully: true})
		before := nattest.ListAllRules(t, true)
		j, path := nattest.NewJournal(t, Undoers())
		if err := idle.AddRules(t.Context(), j, []netip.Prefix{f.network().Subnet}, 100); err != nil {
			t.Fatal(err)
		}
		all := nattest.ListAllRules(t, true)
		at := slices.IndexFunc(all, func(line string) bool {
			return strings.HasPrefix(line, "table "+f.network().Family()+" snatlab-widen-run ")
		})
		end := at + 1 + slices.Index(all[at:], "}")
		nattest.CheckUnchanged(t, before, slices.Delete(slices.Clone(all), at, end))
		steps := j.Steps()
		replayCopy(t, path)
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		nattest.CloseJournal(t, j)
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		undoRule(t, inForce)
	})
}
