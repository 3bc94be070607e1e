package resultfile

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// A result may come from anywhere. Its size, the number of values in its text, and
// then the lengths of its lists are bounded, so that it can neither fill the memory
// nor keep a report from ending. A scenario has at most 32 arms and 1,000 rounds; no
// run exceeds these bounds.
const (
	maxBytes  = 64 << 20 // two arms of 8 rounds on 2 CPUs are 30 KiB
	maxValues = 3 << 20  // a line each

	maxArms     = 64
	maxTrials   = 2000 // of an arm
	maxName     = 200  // bytes of an arm's name, which heads a column
	maxSettings = 1000 // of an arm
	maxCauses   = 32   // different ones, with a line each
	maxExpected = 1000
	maxWarnings = 200_000 // a trial may have two
	maxBlocks   = 100     // of source ports; there are 65
)

// depths bounds the number of values at each depth of nesting where a value, even
// "null", takes much more memory than its text.
var depths = map[int]int{
	2: 2*maxWarnings + maxExpected,                   // lists of arms, comparisons, ...
	4: maxArms * (maxTrials + maxSettings + maxName), // of trials; and figures of an arm
	7: 1 << 19,                                       // of CPUs
}

// checkText counts the values of text before it is decoded. It does not check that
// text is JSON.
func checkText(text []byte) error {
	values := map[int]int{} // by depth, the last of each list left out
	depth, all, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted:
			if c == '\\' {
				i++
			}
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		case c == ',':
			all++
			values[depth]++
		}
	}
	for depth, most := range depths {
		if n := values[depth]; n > most {
			return tooMany(n, fmt.Sprintf("values at depth %d", depth))
		}
	}
	if all > maxValues {
		return tooMany(all, "values")
	}
	return nil
}

// checkResult checks the lengths of a result's lists.
func checkResult(r *result.Result) error {
	for _, c := range []struct {
		n, most int
		what    string
	}{
		{len(r.Arms), maxArms, "arms"}, {len(r.Comparisons), maxArms, "comparisons"},
		{len(r.Expected), maxExpected, "expectations"}, {len(r.Warnings), maxWarnings, "warnings"},
		{len(r.WarningValues), maxWarnings, "warning values"},
		{len(result.CausesOf(r.Arms)), maxCauses, "causes of failure"},
	} {
		if c.n > c.most {
			return tooMany(c.n, c.what)
		}
	}
	for _, a := range r.Arms {
		switch {
		case len(a.Name) > maxName:
			return fmt.Errorf("the name of an arm is %s long", format.Plural(len(a.Name), "byte", "bytes"))
		case len(a.Trials) > maxTrials:
			return tooMany(len(a.Trials), "trials of an arm")
		case len(a.Settings) > maxSettings:
			return tooMany(len(a.Settings), "settings of an arm")
		case len(a.SettingValues) > maxSettings:
			return tooMany(len(a.SettingValues), "setting values of an arm")
		}
		for _, p := range []*result.SourcePorts{a.SourcePorts, a.ControlSourcePorts} {
			if p != nil && len(p.Ranges)+len(p.Blocks) > maxBlocks {
				return tooMany(len(p.Ranges)+len(p.Blocks), "ranges of source ports of an arm")
			}
		}
	}
	return nil
}

func tooMany(n int, of string) error {
	return fmt.Errorf("%s %s, which no run makes", format.Thousands(n), of)
}
