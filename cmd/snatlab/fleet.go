package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/fleet"
	"snatlab/harness/history/store"
	"snatlab/harness/report"
	"snatlab/harness/report/export"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

// fleetFlags are the flags of `snatlab fleet`.
type fleetFlags struct {
	clusterFlags
	nodeFlags
	parallel int
	rounds   int
	out      string
	resume   string
	store    string
	force    bool
	formatFlags
}

func fleetCommand() *cobra.Command {
	var f fleetFlags
	c := &cobra.Command{
		Use:   "fleet SCENARIO",
		Short: "Run a scenario on many nodes of a cluster, and compare them in one table",
		Long: `Run a scenario on each node of a cluster that --nodes selects, with driver
kubernetes, and print a table: node, kernel, CPUs, rules, rates and verdicts. Below it,
the nodes of each kernel are grouped by what they show, and those that differ are named.

A node on which the run fails is a row with its reason, and the others are still run. With
--parallel K, K nodes are run at a time. No node has two runs: a Lease for each one, in the
namespace of --leases, is held and renewed; a node that another fleet holds is a row that
names the holder.

fleet.json is written after each node. An interrupted fleet is continued with --resume DIR:
nodes that were finished are not run again. Every result also goes to the store.

Exit codes, as those of snatlab matrix: 129, 130, 143 interrupted; 5 a node could not be
restored; 1 an expectation is refuted on a node; 3 a node could not be run, or a result
could not be stored; 4 inconclusive on a node; 0 every expectation held on every node. 2 bad
usage, an invalid scenario, or too few rounds for a verdict.`,
		Example: `  snatlab fleet kubernetes-masquerade --nodes pool=web --parallel 2
  snatlab fleet kubernetes-masquerade --resume results/20261128-012809-c2a9c1`,
		ValidArgsFunction: completeScenarios,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := readScenario(c, args[0], runFlags{rounds: f.rounds})
			if err != nil {
				return err
			}
			if err := s.SetDriver(result.DriverKubernetes); err != nil {
				return usageError{c, err}
			}
			switch {
			case f.node != "":
				return usageError{c, errors.New("--node: a fleet takes the nodes of --nodes; allowed: kubernetes.io/hostname=NAME there")}
			case f.parallel < 1 || f.parallel > 64:
				return usageError{c, fmt.Errorf("--parallel: %d is out of range; allowed: 1 to 64", f.parallel)}
			case f.resume != "" && f.out != "":
				return usageError{c, errors.New("--resume continues in its folder; allowed: one of --out and --resume")}
			}
			if err := f.checkFormats(c); err != nil {
				return err
			}
			if err := checkRounds(c, s, f.force); err != nil {
				return err
			}
			return runInterruptible(func(ctx context.Context) error { return f.runFleet(ctx, s) })
		},
	}
	c.Flags().IntVar(&f.parallel, "parallel", 1, "nodes at a time")
	c.Flags().IntVar(&f.rounds, "rounds", 0, "exact number of rounds, instead of the scenario's")
	f.addNodes(c, "")
	c.Flags().StringVar(&f.out, "out", "", "folder for fleet.json, fleet.md and fleet.html (default results/ID)")
	c.Flags().StringVar(&f.resume, "resume", "", "folder of an interrupted fleet that this one continues")
	c.Flags().BoolVar(&f.force, "force", false, "run even if the rounds are too few for a verdict")
	storeFlag(c, &f.store)
	f.addCluster(c, "not for a fleet: see --nodes")
	f.addFormats(c, "the fleet")
	return c
}

// fleetRenderers write a fleet in each format: for programs, a node is what a kernel is in
// a matrix.
var fleetRenderers = renderers[*result.Fleet]{ofMatrix(export.WriteMatrixKTAP), ofMatrix(export.WriteMatrixCSV), report.WriteFleetMarkdown, ofMatrix(export.WriteMatrixJUnit)}

// ofMatrix returns the function that writes a fleet as the matrix that it is like.
func ofMatrix(write func(io.Writer, *result.Matrix) error) func(io.Writer, *result.Fleet) error {
	return func(w io.Writer, f *result.Fleet) error { return write(w, f.AsMatrix()) }
}

// runFleet runs the fleet, writes it, and returns its exit code.
func (f fleetFlags) runFleet(ctx context.Context, s *scenario.Scenario) error {
	on, err := f.connect(ctx, f.clusterFlags, result.CommandFleet)
	if err != nil {
		return err
	}
	results, err := openStore(f.store)
	if err != nil {
		return err
	}
	dir, earlier, err := f.chooseFolder()
	if err != nil {
		return err
	}
	folder, err := resultfile.PrepareFolder(dir)
	if err != nil {
		return fmt.Errorf("prepare the folder of the fleet: %w", err)
	}
	defer folder.Close()
	warnOfRounds(os.Stderr, s)
	progress := newMatrixProgress(f.parallel, len(on.nodes))
	progress.what = "node"
	runner := f.newRunner(s, on, results, progress)
	runner.Nodes, runner.Earlier = on.nodes, earlier
	runner.Write = func(done *result.Fleet) error {
		return errors.Join(
			folder.Write(resultfile.FleetName, func(w io.Writer) error { return resultfile.WriteJSON(w, done) }),
			folder.Write("fleet.md", func(w io.Writer) error { return report.WriteFleetMarkdown(w, done) }),
			folder.Write("fleet.html", func(w io.Writer) error { return page.WriteFleet(w, done) }))
	}
	done, runErr := runner.RunAll(ctx)
	progress.close()
	if len(done.Nodes) == 0 {
		folder.RemoveEmpty()
		return runErr
	}
	err = errors.Join(runErr, f.printFleet(dir, done))
	if err == nil {
		err = matrixExit(done.AsMatrix())
	}
	return err
}

// chooseFolder returns the folder of the fleet, and the fleet that this one continues.
func (f fleetFlags) chooseFolder() (dir string, earlier *result.Fleet, err error) {
	if f.resume != "" {
		earlier, err = resultfile.ReadFleet(f.resume)
		if err != nil {
			err = fmt.Errorf("--resume: %w", err)
		}
		return f.resume, earlier, err
	}
	if f.out != "" {
		return f.out, nil, nil
	}
	return filepath.Join("results", resultfile.NewRunID(time.Now())), nil, nil
}

// newRunner returns the runner of the nodes.
func (f fleetFlags) newRunner(s *scenario.Scenario, on *clusterNodes, results *store.Store, progress *matrixProgress) *fleet.Runner {
	return &fleet.Runner{
		Scenario: s.Summary(), Parallel: f.parallel, Version: version, Keep: results.Put, Note: progress.noteKernel,
		Run: func(ctx context.Context, node string) (*result.Result, error) {
			watch := progress.watchKernel(node)
			defer watch.Say("")
			return on.run(ctx, s, node, watch)
		},
	}
}

// printFleet prints the table, or another form of the fleet.
func (f fleetFlags) printFleet(dir string, done *result.Fleet) error {
	screen := func(w io.Writer, done *result.Fleet) error {
		if err := report.WriteFleetText(w, done, screenOf(os.Stdout)); err != nil {
			return err
		}
		last := layout.NewPage(screenOf(os.Stdout))
		last.WriteLine("")
		last.WriteHanging("", fmt.Sprintf("%s, fleet.md and fleet.html are in %s", resultfile.FleetName, dir))
		_, err := io.WriteString(w, last.String())
		return err
	}
	return errors.Join(fleetRenderers.choose(f.formatFlags, screen)(os.Stdout, done), fleetRenderers.writeFiles(f.formatFlags, done))
}
