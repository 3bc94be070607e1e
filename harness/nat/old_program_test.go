package nat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
)

// The error of an old program says that the program is too old.
func TestProgramTooOld(t *testing.T) {
	for o, flag := range map[snat.Options]string{{RandomFully: true}: "--random-fully", {ToSource: nattest.OneAddress, RandomFully: true}: "--random-fully"} {
		eachVariant(t, func(t *testing.T, tables variant) {
			tables.addRules(t, ours)
			old := withoutOption(t, tables, flag)
			j, _ := nattest.NewJournal(t, Undoers())
			_, err := findOurs(t, old).Apply(t.Context(), j, o)
			begin := fmt.Sprintf("rewrite masquerade rule -A POSTROUTING %s: %s is too old for %q (--random-fully needs 1.6.2): ",
				ours, old.Name(), byIptables{tables}.ours(o))
			if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.Contains(err.Error(), `unknown option "`+flag+`"`) {
				t.Errorf("error %v\nwant  %s...", err, begin)
			}
			nattest.CloseJournal(t, j)
			tables.checkRules(t, ours)
		})
	}
}

// withoutOption returns an iptables that does not know an option.
func withoutOption(t *testing.T, tables variant, flag string) variant {
	t.Helper()
	return replaceProgram(t, tables, fmt.Sprintf(`
case "$*" in *" %[1]s"*)
	echo 'iptables v1.6.1: unknown option "%[1]s"' >&2; exit 2
esac`, flag))
}

// replaceProgram puts a script in place of a program. The script ends by running
// the program, whose path is in PROGRAM.
func replaceProgram(t *testing.T, tables variant, script string) variant {
	t.Helper()
	program, err := exec.LookPath(tables.Path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := "#!/bin/sh\nPROGRAM=" + program + script + "\nexec $PROGRAM \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, tables.Path), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	other, err := iptables.OpenNamed(tables.Path)
	if err != nil {
		t.Fatal(err)
	}
	return variant{other}
}
