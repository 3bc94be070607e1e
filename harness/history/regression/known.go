package regression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// Known is a failure that is written down as known. A finding that it matches is
// no alarm:
//
//	# known-failures.yaml
//	- scenario: quickstart
//	  arm: random-fully         # or any, if it is left out
//	  kernel: ">=6.12, <6.14"   # bounds >=, < and =; "=6.12" is every 6.12.y
//	  reason: fixed by 0123abcd, which is in 6.14
//	  until: 2027-01-31         # the last day on which it excuses
type Known struct {
	Scenario string
	Arm      string // empty: any
	Kernel   string // as it was written
	Reason   string
	Until    time.Time // the end of the last day on which it excuses, UTC

	kernels kernelRange
}

// matches reports whether it is about an arm on a kernel.
func (k Known) matches(scenario, arm, kernel string) bool {
	return k.Scenario == scenario && (k.Arm == "" || k.Arm == arm) && k.kernels.holds(kernel)
}

// excuse marks the findings that are known. What fails for a reason that is
// written down becomes one, whether it is new or not, and is no doubt then. An
// entry that has run out excuses nothing, and is warned about.
func (n *night) excuse(known []Known) {
	reason := func(f result.Finding) string {
		for _, k := range known {
			if k.matches(n.last.Key.Scenario, f.Arm, n.last.Kernel) && !n.last.Started.After(k.Until) {
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
			n.Doubts = append(n.Doubts, fmt.Sprintf("%s; that may be chance (%s)", f.Text, format.P(*f.P)))
		}
	}
	for _, k := range known {
		if k.Scenario == n.last.Key.Scenario && k.kernels.holds(n.last.Kernel) && n.last.Started.After(k.Until) {
			n.Warnings = append(n.Warnings, fmt.Sprintf("the known failure %q ran out on %s, and excuses nothing any more (remove it, or set another day)",
				k.Reason, k.Until.Format(time.DateOnly)))
		}
	}
}

// ReadKnown reads a file of known failures. What is wrong with its contents is
// [strictyaml.Faults]; any other error means that it could not be read.
func ReadKnown(path string) ([]Known, error) {
	data, err := strictyaml.ReadBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read known failures: %w", err)
	}
	return ParseKnown(path, data)
}

// ParseKnown gives the entries that data describes, or [strictyaml.Faults]: all
// that is wrong with it, under the name file.
func ParseKnown(file string, data []byte) ([]Known, error) {
	p := &knownParser{file: file}
	known := p.parse(data)
	if len(p.faults) > 0 {
		return nil, p.faults
	}
	return known, nil
}

// knownParser collects the faults of one file.
type knownParser struct {
	file   string
	faults strictyaml.Faults
}

func (p *knownParser) fault(line, column int, format string, args ...any) {
	p.faults = append(p.faults, strictyaml.Fault{File: p.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

func (p *knownParser) parse(data []byte) (known []Known) {
	d := strictyaml.NewDecoder(p.file)
	root := d.ReadDocument(data)
	if errors.As(d.Err(), &p.faults) || strictyaml.IsEmpty(root) { // nothing is known
		return nil
	}
	if root.Kind != yaml.SequenceNode {
		p.fault(root.Line, root.Column, "not a list; allowed: a list of mappings of %s", strings.Join(knownKeys, ", "))
		return nil
	}
	for _, n := range root.Content {
		known = append(known, p.entry(n))
	}
	return known
}

var knownKeys = []string{"arm", "kernel", "reason", "scenario", "until"}

// entry reads one mapping.
func (p *knownParser) entry(n *yaml.Node) (k Known) {
	if n.Kind != yaml.MappingNode {
		p.fault(n.Line, n.Column, "an entry is not a mapping; allowed: a mapping of %s", strings.Join(knownKeys, ", "))
		return k
	}
	there := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(knownKeys, key.Value):
			p.fault(key.Line, key.Column, "unknown key %.40q; allowed: %s", key.Value, strings.Join(knownKeys, ", "))
		case there[key.Value]:
			p.fault(key.Line, key.Column, "the key %s is there twice", key.Value)
		default:
			there[key.Value] = true
			p.value(&k, key.Value, value)
		}
	}
	for _, key := range knownKeys {
		if key != "arm" && !there[key] {
			p.fault(n.Line, n.Column, "%s: is missing", key)
		}
	}
	return k
}

func (p *knownParser) value(k *Known, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" || n.Tag == "!!null" {
		p.fault(n.Line, n.Column, "%s: is not text", key)
		return
	}
	var err error
	switch key {
	case "scenario":
		k.Scenario = n.Value
	case "arm":
		k.Arm = n.Value
	case "reason":
		k.Reason = strings.Join(strings.Fields(n.Value), " ")
	case "kernel":
		k.Kernel = n.Value
		if k.kernels, err = parseRange(n.Value); err != nil {
			p.fault(n.Line, n.Column, "kernel: %v; allowed: %s", err, rangeForm)
		}
	case "until":
		day, err := time.Parse(time.DateOnly, n.Value)
		if err != nil {
			p.fault(n.Line, n.Column, "until: %.40q is not a day; allowed: a day like 2027-01-31", n.Value)
		}
		k.Until = day.AddDate(0, 0, 1).Add(-time.Nanosecond)
	}
}
