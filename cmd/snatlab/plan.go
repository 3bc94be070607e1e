package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/strictyaml"
)

func planCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "plan SCENARIO",
		Short: "Check a scenario and print it with every default filled in",
		Long: `Check a scenario and print it with every default filled in. SCENARIO is a file,
the name of a ready scenario, or - for standard input. The output is a scenario
itself; its first lines are comments with the number of trials, an estimate of the
time that they take, and what a run changes on the host. Nothing is run. If the
rounds are too few for a verdict, a warning is printed on standard error: such a
scenario is valid, but runs only with --force.

Exit codes: 0 the scenario is valid; 2 it is not, and every fault is printed.`,
		Example: `  snatlab plan docker-masquerade
  snatlab plan mine.yaml --driver docker
  snatlab scenarios quickstart | sed 's/clients: 2/clients: 4/' | snatlab plan -`,
		ValidArgsFunction: completeScenarios,
		RunE: func(c *cobra.Command, args []string) error {
			read := findScenario
			if args[0] == "-" {
				read = func(string) (*scenario.Scenario, error) { return readStandardInput() }
			}
			s, err := readWith(c, read, args[0], f)
			if err != nil {
				return err
			}
			warnOfRounds(os.Stderr, s)
			return writePlan(os.Stdout, s)
		},
	}
	c.Flags().StringVar(&f.driver, "driver", "", "driver that builds the lab, instead of the scenario's: "+driverChoice)
	c.Flags().IntVar(&f.rounds, "rounds", 0, "exact number of rounds, instead of the scenario's")
	return c
}

// readStandardInput returns the scenario in standard input.
func readStandardInput() (*scenario.Scenario, error) {
	data, err := io.ReadAll(io.LimitReader(os.Stdin, strictyaml.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return scenario.Parse("stdin", data)
}

// writePlan writes a scenario with every default, after what a run of it does.
func writePlan(w io.Writer, s *scenario.Scenario) error {
	if err := writeLength(w, s); err != nil {
		return err
	}
	if err := writeHostChanges(w, s); err != nil {
		return err
	}
	if text := (storeFlags{}).describeChanges(s); text != "" {
		fmt.Fprintf(w, "# %s.\n", printable.Line(text))
	}
	_, err := w.Write(s.Canonical())
	return err
}

// writeLength writes how many trials a run has, and about how long they take, as comments.
func writeLength(w io.Writer, s *scenario.Scenario) error {
	rounds := format.Plural(s.Rounds, "round", "rounds")
	arms := format.Plural(len(s.Arms), "arm", "arms")
	trials := format.Thousands(1 + s.Rounds*len(s.Arms))
	if s.HasFixedRounds() {
		_, err := fmt.Fprintf(w, "# %s trials: a warm-up, and %s of %s. Estimated time: %s on a machine at rest.\n", trials, rounds, arms, estimateLength(s))
		return err
	}
	_, err := fmt.Fprintf(w, "# At least %s trials: a warm-up, and %s of %s. Estimated time: %s on a machine at rest.\n"+
		"# Where hits of the control are few: at most %s trials, %s, or about %s.\n",
		trials, rounds, arms, estimateLength(s),
		format.Thousands(1+s.MostRounds()*len(s.Arms)), format.Plural(s.MostRounds(), "round", "rounds"), format.Seconds(s.Until.TimeMax.Seconds()))
	return err
}

// How long the parts of a run last on a machine with two CPUs and no other work.
const (
	netnsLabTime   = 500 * time.Millisecond // to build and to remove a lab
	dockerLabTime  = 3 * time.Second
	clusterLabTime = 25 * time.Second
	trialTime      = 100 * time.Millisecond // without its requests
	slotTime       = 100 * time.Microsecond // at full rate
)

// estimateLength returns how long a run with the least number of rounds probably lasts.
func estimateLength(s *scenario.Scenario) string {
	lab := netnsLabTime
	switch s.Driver {
	case result.DriverDocker:
		lab = dockerLabTime
	case result.DriverKubernetes:
		lab = clusterLabTime
	}
	slot := slotTime
	if s.Load.Rate > 0 {
		slot = max(slot, time.Second/time.Duration(s.Load.Rate))
	}
	slots := s.MaxConnections()
	if s.HasControl() { // two clients fire in each slot, if there are two
		slots /= min(2, s.Clients)
	}
	trial := trialTime + time.Duration(slots)*slot
	if n := s.Load.Concurrency; n > 0 { // further connections wait until the open ones are closed
		trial += time.Duration((s.Load.Requests-1)/n) * s.Load.Hold
	}
	return format.Seconds((lab + time.Duration(1+s.Rounds*len(s.Arms))*trial).Round(time.Second).Seconds())
}
