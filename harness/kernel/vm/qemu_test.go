package vm

import (
	"strings"
	"testing"
)

func TestKernelCommandLine(t *testing.T) {
	line := kernelCommandLine(Init{Args: []string{"guest"}, Env: []string{"A=b", "C="}})
	if !strings.HasSuffix(line, " panic=-1 A=b C= -- guest") {
		t.Errorf("got %q", line)
	}
}
