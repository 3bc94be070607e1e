package probe

import "snatlab/harness/result"

// Latency merges what several clients measured.
func Latency(reports ...*Report) result.Latency {
	all := newLatency()
	for _, r := range reports {
		for _, v := range r.Latency {
			_ = all.RecordValues(min(v[0], slowest), v[1]) // within its range
		}
	}
	return result.Latency{
		P50: all.ValueAtQuantile(50), P95: all.ValueAtQuantile(95), P99: all.ValueAtQuantile(99), Max: all.Max(),
	}
}

// Monotonic is CLOCK_MONOTONIC in ns: what [Lockstep.Start] counts from.
func Monotonic() int64 { return monotonic() }
