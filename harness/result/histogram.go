package result

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Histogram is a distribution of latencies, the shortest first, each latency once. A
// latency is kept to three digits, as the probes record it (HDR histogram).
//
// Its JSON is one string, since the distribution of a run has hundreds of buckets: "54
// 55:12" is one request that took 54 µs and 12 that took 55 µs.
type Histogram []Bucket

// Bucket is the number of requests with a latency.
type Bucket struct{ Micros, Requests int64 }

// maxBuckets is more than the number of latencies from 1 µs to 10 s that three digits
// tell apart.
const maxBuckets = 20_000

// Merge returns the distribution of both.
func (h Histogram) Merge(o Histogram) Histogram {
	all := append(slices.Clone(h), o...)
	slices.SortFunc(all, func(a, b Bucket) int { return cmp.Compare(a.Micros, b.Micros) })
	sum := all[:0]
	for _, b := range all {
		if last := len(sum) - 1; last >= 0 && sum[last].Micros == b.Micros {
			sum[last].Requests += b.Requests
			continue
		}
		sum = append(sum, b)
	}
	return sum
}

// Total returns the number of requests.
func (h Histogram) Total() (n int64) {
	for _, b := range h {
		n += b.Requests
	}
	return n
}

// Quantile returns the least latency that at least this share of the requests do not
// exceed; 0 of an empty distribution.
func (h Histogram) Quantile(share float64) int64 {
	rest := max(1, int64(math.Ceil(share*float64(h.Total())-1e-9)))
	for _, b := range h {
		if rest -= b.Requests; rest <= 0 {
			return b.Micros
		}
	}
	return 0
}

// MarshalText returns "54 55:12".
func (h Histogram) MarshalText() ([]byte, error) {
	var text []byte
	for i, b := range h {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, b.Micros, 10)
		if b.Requests != 1 {
			text = strconv.AppendInt(append(text, ':'), b.Requests, 10)
		}
	}
	return text, nil
}

// UnmarshalText reads what [Histogram.MarshalText] returns. The text may be a stranger's:
// it accepts no more buckets than a run makes, in ascending order, and no sum that
// overflows.
func (h *Histogram) UnmarshalText(text []byte) error {
	*h = nil
	if n := bytes.Count(text, []byte(" ")); n >= maxBuckets {
		return fmt.Errorf("a latency histogram has %d buckets, which no run makes", n+1)
	}
	last, room := int64(-1), int64(math.MaxInt64)
	for field := range bytes.FieldsSeq(text) {
		b, ok := parseBucket(field)
		if !ok || b.Micros <= last || b.Requests > room {
			return fmt.Errorf("a latency histogram has %.40q, which is no bucket that can follow (54:12 is 12 requests of 54 µs)", field)
		}
		*h = append(*h, b)
		last, room = b.Micros, room-b.Requests
	}
	return nil
}

func parseBucket(text []byte) (b Bucket, ok bool) {
	micros, requests, counted := bytes.Cut(text, []byte(":"))
	b.Requests = 1
	var err error
	if counted {
		b.Requests, err = strconv.ParseInt(string(requests), 10, 64)
	}
	if err == nil {
		b.Micros, err = strconv.ParseInt(string(micros), 10, 64)
	}
	return b, err == nil && b.Micros >= 0 && b.Requests > 0
}
