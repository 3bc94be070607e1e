package harness

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// holdConnections has the server keep connections open as the load says. It returns an
// error if the probes may not open files for so many.
func (x *experiment) holdConnections() error {
	if !x.Load.Holds() {
		return nil
	}
	x.lab.HoldConnections(x.Load.Hold, x.Load.Close)
	return x.checkFiles(x.Load.Requests)
}

// checkFiles returns an error if the connections that stay open in a trial of so many
// requests of each client are more than a probe may have files.
func (x *experiment) checkFiles(requests int) error {
	if !x.Load.Holds() {
		return nil
	}
	open := x.countOpen(requests)
	describe := func(who string, open, files int) error {
		if open+probe.ReservedFiles <= files {
			return nil
		}
		return fmt.Errorf("load.hold: %s up to %s open at one time, and may open %d files, of which %d are for other uses; "+
			"send fewer requests (load.requests), set a lower load.rate or a shorter load.hold, or raise the limit of open files (ulimit -n)",
			who, format.Plural(open, "connection", "connections"), files, probe.ReservedFiles)
	}
	for _, c := range x.lab.Clients() {
		if err := describe("a client keeps", open, c.Hello.Files); err != nil {
			return err
		}
	}
	return describe("the server keeps", open*x.Clients, x.lab.ServerFiles())
}

// countOpen returns the number of connections, at most, that a client has open at one
// time in a trial of so many requests of each.
func (x *experiment) countOpen(requests int) int {
	n := requests + x.control.countConnections(requests)
	if x.Load.Rate > 0 {
		n = min(n, 1+int(float64(x.Load.Rate)*(x.Load.Hold+x.Load.Timeout).Seconds()))
	}
	if x.Load.Pattern != result.Lockstep {
		n = min(n, x.Load.Concurrency)
	}
	return n
}
