package lab

import (
	"errors"
	"fmt"
	"testing"

	"snatlab/harness/nat/transaction"
)

// A kernel without a part of nftables is an error only where the rules are required.
// Any other error is one in any case.
func TestRecordIdleRules(t *testing.T) {
	t.Parallel()
	missing := fmt.Errorf("widen the window of the race by 7 rules: %w", &transaction.MissingError{Module: "nft_ct", Config: "CONFIG_NFT_CT", Err: errors.New("no such file or directory")})
	other := errors.New("table ip snatlab-widen exists already")
	for _, c := range []struct {
		name     string
		required bool
		err      error
		want     error
		rules    int
		why      string
	}{
		{"made", false, nil, nil, 7, ""},
		{"made and required", true, nil, nil, 7, ""},
		{"missing", false, missing, nil, 0, missing.Error()},
		{"missing and required", true, missing, missing, 0, ""},
		{"another error", false, other, other, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Base
			if err := b.recordIdleRules(IdleRules{Number: 7, Required: c.required}, c.err); err != c.want {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if b.Facts.Widened != c.rules || b.Facts.NotWidened != c.why {
				t.Errorf("%d rules, missing: %q", b.Facts.Widened, b.Facts.NotWidened)
			}
		})
	}
}
