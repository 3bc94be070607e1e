// Dashboard prints the Grafana dashboard for the metrics of a night, in the classic JSON
// model that every Grafana imports. To change the dashboard, change this program and run,
// from the root of the repository:
//
//	go run -C tools/monitoring ./dashboard >packaging/grafana/snatlab.json
//
// panels.go has what is shown; the test of packaging/ holds the queries against the metrics
// and the file against this program.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write(w io.Writer) error {
	board, err := describe().Build()
	if err != nil {
		return err
	}
	numberPanels(board.Panels)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(board)
}

// numberPanels gives each panel its number, by which links name it.
func numberPanels(panels []dashboard.PanelOrRowPanel) {
	for i, p := range panels {
		id := uint32(i + 1)
		if p.Panel != nil {
			p.Panel.Id = &id
		} else {
			p.RowPanel.Id = id
		}
	}
}

// describe returns the whole dashboard. It is of the classic model and not of dashboardv2,
// which older versions of Grafana cannot import.
func describe() *dashboard.DashboardBuilder {
	board := dashboard.NewDashboardBuilder("snatlab: lost connections, night by night").
		Uid("snatlab-nights").
		Description("What `snatlab nightly --metrics` found on each node. docs/monitoring.md describes the metrics.").
		Tags([]string{"snatlab"}).
		Editable().
		Timezone("browser").
		Time("now-30d", "now").
		Refresh("1h").
		Tooltip(dashboard.DashboardCursorSyncCrosshair)
	for _, v := range variables() {
		board.WithVariable(v)
	}
	board.Annotation(newKernels())
	for _, r := range rows() {
		board.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.panels {
			board.WithPanel(p)
		}
	}
	return board
}
