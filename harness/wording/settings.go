package wording

import (
	"fmt"
	"strings"

	"snatlab/harness/result"
)

// DescribeSettings returns a sentence for each setting. It is never nil.
func DescribeSettings(all []result.Setting) []string {
	texts := []string{}
	for _, s := range all {
		texts = append(texts, s.Part+": "+describeSetting(s))
	}
	return texts
}

func describeSetting(s result.Setting) string {
	switch {
	case s.Key == result.KeySourcePorts && s.Value == result.SplitPorts:
		return "each has source ports of its own"
	case s.Key == result.KeySourcePorts:
		return "source ports " + strings.Replace(s.Value, "-", " to ", 1)
	case s.Key == result.KeyNoTrack:
		return "packets of the arm are not tracked, and so not translated"
	case s.Key == result.KeyAddress:
		return "address " + strings.Replace(s.Value, " dev ", " on ", 1)
	}
	return fmt.Sprintf("%s = %s", s.Key, s.Value) // a sysctl, or resolver
}

// Latency names what the latencies of a scenario's runs are.
func Latency(s result.ScenarioSummary) string {
	switch {
	case s.Pattern == result.DNS:
		return "time to send the first packets of a look-up through NAT"
	case s.LatencyOfSending():
		return "time to send a datagram through NAT"
	case s.Protocol == result.UDP:
		return "time to the answer"
	}
	return "time to connect"
}
