package lab

import (
	"context"

	"snatlab/harness/nat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/scenario"
)

// CheckArms reports, before anything is changed, why the rule cannot be
// rewritten for one of the arms. It is called in the router.
func CheckArms(ctx context.Context, rule *nat.Rule, arms []scenario.Arm) error {
	var all []snat.Options
	for _, arm := range arms {
		all = append(all, options(arm))
	}
	return rule.Check(ctx, all...)
}
