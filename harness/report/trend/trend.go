// Package trend draws what is known of a scenario over time, for people: a night, the
// history of a store, and the comparison of runs with earlier ones.
package trend

import "snatlab/harness/report/layout"

// page is text for a screen, with the parts that these reports have in common.
type page struct{ layout.Page }

func newPage(on layout.Screen) *page { return &page{layout.NewPage(on)} }
