package vm

import (
	"strings"
	"testing"
)

// Variables of init are before the two dashes, its arguments after them.
func TestKernelCommandLine(t *testing.T) {
	t.Parallel()
	line := kernelCommandLine(Init{Args: []string{"guest"}, Env: []string{"A=b", "C="}})
	if !strings.HasSuffix(line, " panic=-1 A=b C= -- guest") {
		t.Errorf("got %q", line)
	}
}
