package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// unknownVersion is the version of a build without a stamp and without information
// from Go's toolchain. What is known of a build that is no release is appended to it,
// after a "+".
const unknownVersion = "v0.0.0-dev"

// version is set by the Makefile's build. In other builds it is the version that Go's
// toolchain recorded.
var version = unknownVersion

func init() {
	if info, ok := debug.ReadBuildInfo(); ok && version == unknownVersion {
		version = versionOf(info)
	}
}

// versionOf returns the version of the module that a program was built from. If there
// is none it is made of the commit, with ".dirty" if files differed from it, as by
// scripts/version.
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
		return unknownVersion + "+" + commit[:min(len(commit), 12)] + ".dirty"
	default:
		return unknownVersion + "+" + commit[:min(len(commit), 12)]
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
