package main

import (
	"bytes"
	"os"
	"sync"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/report"
)

// matrixProgress prints the progress of a matrix on standard error. If several kernels
// are tested at a time, each line begins with its kernel.
type matrixProgress struct {
	mu       sync.Mutex
	several  bool
	terminal bool // lines may be overwritten
}

func newMatrixProgress(jobs int) *matrixProgress {
	return &matrixProgress{several: jobs > 1, terminal: jobs == 1 && canOverwrite(os.Stderr)}
}

// watchKernel returns a watcher that prints the run of a kernel.
func (p *matrixProgress) watchKernel(release string) matrix.RunWatcher {
	if p.several {
		return report.NewProgress(&kernelLines{p: p, release: release}, false)
	}
	p.writeLine(release)
	return report.NewProgress(os.Stderr, p.terminal)
}

// noteKernel prints other news of a kernel.
func (p *matrixProgress) noteKernel(release, text string) { p.writeLine(release + ": " + text) }

// writeLine prints a line that is not overwritten.
func (p *matrixProgress) writeLine(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		report.NewProgress(os.Stderr, true).Say("") // erase the line that may be overwritten
	}
	report.NewProgress(os.Stderr, false).Say(text)
}

// kernelLines prints lines, each after the name of its kernel.
type kernelLines struct {
	p       *matrixProgress
	release string
	rest    []byte
}

func (l *kernelLines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ended := bytes.Cut(l.rest, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		l.p.writeLine(l.release + "   " + string(line))
		l.rest = rest
	}
}
