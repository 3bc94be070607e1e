package scenario

import (
	"math"
	"strings"
	"testing"
)

// A stated share is read, written again, and turned into the chance of a connection.
func TestRemoves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		share      string
		perMillion uint32
	}{
		{"0.001%", 5}, {"50%", 292_893}, {"90%", 683_772}, {"95%", 776_393}, {"98%", 858_579}, {"99.999%", 996_838},
	} {
		text := "name: x\narms: [{name: masquerade}, {name: part, masquerade: {random_fully: true, removes: " + c.share + "}}]\n"
		s, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Error(err)
			continue
		}
		m := s.Arms[1].Masquerade
		if got := m.DrawnPerMillion(); got != c.perMillion {
			t.Errorf("%s: %d of a million, want %d", c.share, got, c.perMillion)
		}
		keep := 1 - float64(m.DrawnPerMillion())/1e6
		if remains := 1 - float64(m.Removes); math.Abs(keep*keep-remains) > 1e-6 {
			t.Errorf("%s: %g remains, want %g", c.share, keep*keep, remains)
		}
		canonical := string(s.Canonical())
		if !strings.Contains(canonical, `masquerade: {random_fully: true, removes: "`+c.share+`"}`) {
			t.Errorf("%s is written as\n%s", c.share, canonical)
		}
		if again, err := Parse("x.yaml", []byte(canonical)); err != nil || again.Arms[1].Masquerade != m {
			t.Errorf("%s is read again as %+v, %v", c.share, again, err)
		}
	}
	if n := (MasqueradeOptions{RandomFully: true}).DrawnPerMillion(); n != 0 {
		t.Errorf("without a share: %d of a million", n)
	}
}
