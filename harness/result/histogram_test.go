package result

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	h := Histogram{{54, 1}, {55, 12}}.Merge(Histogram{{12, 7}, {55, 3}, {1_000_000, 1}})
	t.Run("is one string in JSON", func(t *testing.T) {
		text, err := json.Marshal(Arm{Latencies: h})
		if err != nil || !strings.Contains(string(text), `"latency_histogram":"12:7 54 55:15 1000000"`) {
			t.Errorf("got %s, %v", text, err)
		}
		var read Arm
		if err := json.Unmarshal(text, &read); err != nil || !slices.Equal(read.Latencies, h) {
			t.Errorf("got %v, %v", read.Latencies, err)
		}
	})
	t.Run("is left out where there is none", func(t *testing.T) {
		if text, err := json.Marshal(Arm{}); err != nil || strings.Contains(string(text), "histogram") {
			t.Errorf("got %s, %v", text, err)
		}
	})
	t.Run("has quantiles", func(t *testing.T) {
		for share, want := range map[float64]int64{0: 12, 0.25: 12, 0.3: 54, 0.5: 55, 0.95: 55, 0.99: 1_000_000, 1: 1_000_000} {
			if got := h.Quantile(share); got != want {
				t.Errorf("%g: got %d, want %d", share, got, want)
			}
		}
		if got := (Histogram{}).Quantile(0.5); got != 0 {
			t.Errorf("an empty one: got %d", got)
		}
	})
	t.Run("does not change what it was merged of", func(t *testing.T) {
		a := Histogram{{1, 1}, {2, 2}}
		_ = a.Merge(Histogram{{1, 5}})
		if !slices.Equal(a, Histogram{{1, 1}, {2, 2}}) {
			t.Errorf("got %v", a)
		}
	})
}

// A stranger's text is refused unless it is what a run can have written.
func TestStrangeHistogram(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a word":                  "fast",
		"no latency":              ":5",
		"a negative latency":      "-5:1",
		"no request":              "5:0",
		"an order that goes back": "7 5",
		"the same latency twice":  "5 5",
		"a sum that overflows":    "1:9223372036854775807 2:9223372036854775807",
		"a number that overflows": "1:92233720368547758070",
		"too many buckets":        strings.Repeat("1 ", maxBuckets+1),
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var h Histogram
			if err := h.UnmarshalText([]byte(text)); err == nil || len(err.Error()) > 200 {
				t.Errorf("got %v", err)
			}
		})
	}
}
