package regression

import (
	"fmt"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// KnownFailure is a failure that is known. A finding that it matches raises no alarm:
//
//	# known-failures.yaml
//	- scenario: quickstart
//	  arm: random-fully         # without it: any arm
//	  node: worker-1            # of a cluster; without it: any machine
//	  kernel: ">=6.12, <6.14"   # bounds >=, < and =; "=6.12" is every 6.12.y
//	  reason: fixed by 0123abcd, which is in 6.14
//	  until: 2027-01-31         # the last day on which it excuses
type KnownFailure struct {
	Scenario string
	Arm      string // empty: any
	Node     string // of a cluster; empty: any
	Kernel   string // as it was written
	Reason   string
	Until    time.Time // the end of the last day on which it excuses, UTC

	kernels kernelRange
}

// isAbout reports whether the entry is about runs like that one.
func (k KnownFailure) isAbout(r result.RunSummary) bool {
	return k.Scenario == r.Key.Scenario && (k.Node == "" || k.Node == r.Key.Node) && k.kernels.contains(r.Kernel)
}

// markKnown marks the findings that are known. An expectation that fails for a known
// reason becomes a finding, whether it ever held or not, and is no doubt then. An
// entry that has expired excuses nothing, and is warned about.
func (n *night) markKnown(known []KnownFailure) {
	reason := func(f result.Finding) string {
		for _, k := range known {
			if k.isAbout(n.sum) && (k.Arm == "" || k.Arm == f.Arm) && !n.sum.Started.After(k.Until) {
				return k.Reason
			}
		}
		return ""
	}
	for i := range n.Findings {
		if f := &n.Findings[i]; f.Kind != result.Shift {
			f.Known = reason(*f)
		}
	}
	for _, f := range n.broken {
		if f.Known = reason(f); f.Known != "" {
			n.Findings = append(n.Findings, f)
		}
	}
	for _, f := range n.chance {
		if f.Kind != result.ExpectationBroken || reason(f) == "" {
			n.Doubts = append(n.Doubts, f.Text+"; that may be chance"+describeP(f.P))
		}
	}
	for _, k := range known {
		if k.isAbout(n.sum) && n.sum.Started.After(k.Until) {
			n.Warnings = append(n.Warnings, fmt.Sprintf("the known failure %q expired on %s and excuses nothing any more (remove it, or set a later day)",
				k.Reason, k.Until.Format(time.DateOnly)))
		}
	}
}

// describeP returns " (p = 0.17)", and nothing without a p.
func describeP(p *float64) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf(" (p = %.2g)", *p)
}

// ReadKnown reads a file of known failures. Mistakes in its contents are
// [strictyaml.Faults]; any other error means that the file cannot be read.
func ReadKnown(path string) ([]KnownFailure, error) {
	data, err := strictyaml.ReadBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read known failures: %w", err)
	}
	return ParseKnown(path, data)
}

// mostKnown bounds the entries of a file.
const mostKnown = 10000

// ParseKnown returns the entries that data describes, or [strictyaml.Faults] with
// all mistakes, under the name file.
func ParseKnown(file string, data []byte) (known []KnownFailure, err error) {
	d := strictyaml.NewDecoder(file)
	if root := d.ReadDocument(data); root != nil && !strictyaml.IsEmpty(root) {
		list := strictyaml.Sequence[KnownFailure]{Into: &known, Length: strictyaml.SpanOf(0, mostKnown), Entry: (*KnownFailure).fieldTable}
		d.ReadField(strictyaml.Field{Key: "known failures", Value: knownList{list}}, root)
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return known, nil
}

// knownList is the root of the file.
type knownList struct {
	strictyaml.Sequence[KnownFailure]
}

// DescribeAllowed implements [strictyaml.Value].
func (knownList) DescribeAllowed() string {
	return fmt.Sprintf("a list, of at most %d entries, each %s", mostKnown, new(KnownFailure).fieldTable().DescribeAllowed())
}

// fieldTable returns the value that an entry of the file is read into.
func (k *KnownFailure) fieldTable() strictyaml.Value {
	return strictyaml.Mapping{Fields: []strictyaml.Field{
		{Key: "scenario", Required: true, Value: scalar{"the name of a scenario", func(text string) string { k.Scenario = text; return "" }}},
		{Key: "arm", Value: scalar{"the name of an arm", func(text string) string { k.Arm = text; return "" }}},
		{Key: "node", Value: scalar{"the name of a node", func(text string) string { k.Node = text; return "" }}},
		{Key: "kernel", Required: true, Value: scalar{rangeForm, k.setKernel}},
		{Key: "reason", Required: true, Value: scalar{"a sentence", func(text string) string {
			k.Reason = strings.Join(strings.Fields(text), " ")
			return ""
		}}},
		{Key: "until", Required: true, Value: scalar{"a day like 2027-01-31", k.setUntil}},
	}}
}

func (k *KnownFailure) setKernel(text string) (problem string) {
	kernels, err := parseRange(text)
	if err != nil {
		return err.Error()
	}
	k.Kernel, k.kernels = text, kernels
	return ""
}

func (k *KnownFailure) setUntil(text string) (problem string) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return strictyaml.QuoteText(text) + " is not a day"
	}
	k.Until = day.AddDate(0, 0, 1).Add(-time.Nanosecond)
	return ""
}

// scalar is text that needs no quotes if YAML reads it as a number or as a day.
type scalar struct {
	allowed string
	set     func(text string) (problem string)
}

// DescribeAllowed implements [strictyaml.Value].
func (v scalar) DescribeAllowed() string { return v.allowed }

// ReadNode implements [strictyaml.Value].
func (v scalar) ReadNode(_ *strictyaml.Decoder, _ string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" {
		return strictyaml.DescribeNode(n) + " is not text"
	}
	return v.set(n.Value)
}

// MakeNode implements [strictyaml.Value]. Known failures are not written.
func (v scalar) MakeNode() *yaml.Node { return nil }
