package watch

import (
	"os"
	"strings"
	"testing"
	"time"

	"snatlab/harness/nat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/result/watched"
)

// One reading is explained since the namespace exists, several by their difference.
func TestInterpret(t *testing.T) {
	t.Parallel()
	const first, second = "cpu=0 insert_failed=10 drop=10 clash_resolve=0\n", "cpu=0 insert_failed=12 drop=12 clash_resolve=0\n"
	for name, c := range map[string]struct {
		text     string
		want     string
		readings int
	}{
		"one reading":  {first, "race 10", 0},
		"two readings": {first + second, "race 2", 2},
		"of two hosts": {second + strings.ReplaceAll(first, "=1", "=0"), "nothing_lost", 0},
	} {
		w, err := Interpret(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := meaningsOf(w); got != c.want || w.Readings != c.readings || w.Schema != watched.Schema {
			t.Errorf("%s: got %s of %d readings, want %s of %d", name, got, w.Readings, c.want, c.readings)
		}
	}
	if _, err := Interpret("hello"); err == nil {
		t.Error("foreign text: no error")
	}
}

// A rule has a rate from its second listing on, also among equal rules.
func TestRuleReader(t *testing.T) {
	t.Parallel()
	var r ruleReader
	list := func(at time.Duration, packets ...uint64) (rates []string) {
		var listed []nat.TranslatingRule
		for _, n := range packets {
			listed = append(listed, nat.TranslatingRule{Program: "nftables", Text: "masquerade", Packets: &n, Options: snat.Options{RandomFully: true}})
		}
		listed = append(listed, nat.TranslatingRule{Program: "nftables", Text: "snat"})
		for _, rule := range r.describe(listed, nil, start.Add(at)).Rules {
			switch {
			case rule.Random != (rule.Text == "masquerade"):
				t.Errorf("%+v", rule)
			case rule.PerSecond == nil:
				rates = append(rates, "-")
			case *rule.PerSecond == 5:
				rates = append(rates, "5")
			default:
				rates = append(rates, "0")
			}
		}
		return rates
	}
	for _, c := range []struct {
		at      time.Duration
		packets []uint64
		want    string
	}{
		{0, []uint64{100, 200}, "- - -"}, {2 * time.Second, []uint64{110, 200}, "5 0 -"},
		{4 * time.Second, []uint64{120, 10, 3}, "5 - - -"}, // the second was made again
	} {
		if got := strings.Join(list(c.at, c.packets...), " "); got != c.want {
			t.Errorf("after %v: %s, want %s", c.at, got, c.want)
		}
	}
}

// A process that does not exist has no namespace.
func TestOpenProcess(t *testing.T) {
	t.Parallel()
	if _, err := OpenProcess(1 << 30); err == nil || err.Error() != "there is no process 1073741824" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat("/proc/self/" + statName); err != nil {
		t.Skip("this kernel has no conntrack")
	}
	s, err := OpenProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.enter = nil // as for a user who may not enter it
	if r, limit, err := s.read(); err != nil || len(r.CPUs) == 0 || limit != nil {
		t.Errorf("%v, %v, %v", r, limit, err)
	}
}
