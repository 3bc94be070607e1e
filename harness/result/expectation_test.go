package result

import (
	"reflect"
	"slices"
	"testing"
)

// What came of an expectation is no part of its identity, and every claim is.
func TestExpectationKey(t *testing.T) {
	t.Parallel()
	claims := map[string]Expectation{
		"race":          {Arm: "a", Race: Reproduced},
		"other race":    {Arm: "a", Race: Absent},
		"reduction":     {Arm: "a", Reduction: new(0.99)},
		"other bound":   {Arm: "a", Reduction: new(0.95)},
		"p50":           {Arm: "a", P50: new(0.99)},
		"p99":           {Arm: "a", P99: new(0.99)},
		"unexplained":   {Arm: "a", Unexplained: new(0.99)},
		"filtered":      {Arm: "a", Filtered: new(0.99)},
		"exhausted":     {Arm: "a", PortExhaustion: new(0.99)},
		"full":          {Arm: "a", TableFull: new(0.99)},
		"another's arm": {Arm: "b", Unexplained: new(0.99)},
	}
	of := map[ExpectationKey]string{}
	for name, e := range claims {
		if other, ok := of[e.Key()]; ok {
			t.Errorf("%s and %s have the same key", name, other)
		}
		of[e.Key()] = name
		e.Held, e.Found, e.Why, e.Least = new(false), "found", WhyMoreHits, 7
		e.RaceRemaining, e.RaceAgainst = new(Remaining), "plain"
		if of[e.Key()] != name {
			t.Errorf("%s: the outcome changes the key", name)
		}
	}
	for i := range reflect.TypeFor[Expectation]().NumField() { // a claim that is added needs a key
		known := []string{"Arm", "Race", "Reduction", "P50", "P99", "Unexplained", "Filtered", "PortExhaustion", "TableFull", "Held", "Found", "Why", "Least", "RaceRemaining", "RaceAgainst"}
		if name := reflect.TypeFor[Expectation]().Field(i).Name; !slices.Contains(known, name) {
			t.Errorf("is %s part of the key?", name)
		}
	}
}
