package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// unknownVersion is the version of a build that nobody stamped, and that Go's
// toolchain recorded nothing about.
const unknownVersion = "dev"

// version is stamped by the build of the Makefile. Any other build is known by
// what Go's toolchain recorded in it.
var version = unknownVersion

func init() {
	if info, ok := debug.ReadBuildInfo(); ok && version == unknownVersion {
		version = versionOf(info)
	}
}

// versionOf returns the version of the module that a program was built of, or
// else the commit, with "-dirty" where files differed from it.
func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	commit := vcs["vcs.revision"]
	switch {
	case commit == "":
		return unknownVersion
	case vcs["vcs.modified"] == "true":
		return commit[:min(len(commit), 12)] + "-dirty"
	default:
		return commit[:min(len(commit), 12)]
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Run: func(*cobra.Command, []string) {
			fmt.Printf("snatlab %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		},
	}
}
