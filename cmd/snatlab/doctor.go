package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness/lab/docker"
	"snatlab/harness/lab/netns"
	"snatlab/harness/machine"
	"snatlab/harness/result"
)

func doctorCommand() *cobra.Command {
	var driver string
	var cluster clusterFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that a run needs of this machine",
		Long: `Check everything that a run needs of this machine, driver by driver, one line
each, with what to do where something is missing. Nothing is changed, except that the
kernel may load the modules that a run needs. A cluster is checked with --driver
kubernetes.

Exit codes: 0 a run is possible with at least one driver; 3 it is not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			drivers := []string{result.DriverNetns, result.DriverDocker}
			if c.Flags().Changed("driver") {
				if !slices.Contains(driverNames, driver) {
					return usageError{c, fmt.Errorf("--driver: %q is not allowed; allowed: %s", driver, strings.Join(driverNames, ", "))}
				}
				drivers = []string{driver}
			}
			if err := cluster.check(drivers[0]); err != nil {
				return usageError{c, err}
			}
			return runInterruptible(func(ctx context.Context) error { return checkDrivers(ctx, os.Stdout, drivers, cluster) })
		},
	}
	c.Flags().StringVar(&driver, "driver", "", "check this driver only: "+driverChoice)
	cluster.addCluster(c, "node of the clients (default: the first that is ready)")
	return c
}

// checkDrivers prints the requirements of each driver.
func checkDrivers(ctx context.Context, w io.Writer, drivers []string, cluster clusterFlags) error {
	possible := false
	for i, driver := range drivers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		ready, err := examineDriver(ctx, w, driver, cluster)
		if err != nil {
			return err
		}
		possible = possible || ready
	}
	if !possible {
		return exitCode(exitUnable)
	}
	return nil
}

// examineDriver prints what a driver needs, and reports whether a run is possible.
func examineDriver(ctx context.Context, w io.Writer, driver string, cluster clusterFlags) (ready bool, err error) {
	if driver == result.DriverNetns && !netns.IsPrivileged() {
		return examineInUserNamespace(w)
	}
	var found []machine.Precondition
	switch driver {
	case result.DriverNetns:
		found = append(netns.Preflight(ctx, "", result.IPv4, 0), netns.CheckIPv6(ctx))
	case result.DriverDocker:
		host, all := docker.Preflight(ctx, "", result.IPv4, 0)
		defer host.Close()
		found = append(all, host.CheckIPv6(ctx))
	case result.DriverKubernetes:
		if found, err = examineCluster(ctx, cluster); err != nil {
			return false, err
		}
	default:
		return false, unknownDriver(driver)
	}
	return printPreconditions(w, driver, found), ctx.Err()
}

// examineInUserNamespace runs doctor in a user namespace, where a run of this user
// would be. It prints the result itself.
func examineInUserNamespace(w io.Writer) (ready bool, err error) {
	code, err := netns.Reexec(endSignals(), "doctor", "--driver", result.DriverNetns)
	if err != nil {
		return printPreconditions(w, result.DriverNetns, []machine.Precondition{{Name: "user namespace", State: machine.Unmet, Found: err.Error()}}), nil
	}
	return code == exitPass, nil
}

// printPreconditions prints the preconditions of a driver, and reports whether a run
// is possible.
func printPreconditions(w io.Writer, driver string, found []machine.Precondition) (ready bool) {
	fmt.Fprintf(w, "driver %s\n", driver)
	for _, p := range found {
		state := p.State.String()
		if p.State == machine.Unmet && p.Advisory {
			state = "poor"
		}
		fmt.Fprintf(w, "%-8s %-17s %s\n", state, p.Name, p.Found)
		if p.State == machine.Unmet && p.Remedy != "" {
			fmt.Fprintf(w, "%-26s -> %s\n", "", p.Remedy)
		}
	}
	return machine.RequireMet(found) == nil
}
