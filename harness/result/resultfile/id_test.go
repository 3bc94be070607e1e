package resultfile

import (
	"regexp"
	"testing"
	"time"
)

func TestNewRunID(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 23, 5, 9, 0, time.FixedZone("CET", 3600))
	first, second := NewRunID(now), NewRunID(now)
	form := regexp.MustCompile(`^20261127-220509-[0-9a-f]{6}$`)
	if !form.MatchString(first) || first == second {
		t.Errorf("%s, then %s", first, second)
	}
}
