package main

import (
	"bytes"
	"os"
	"sync"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/report"
)

// matrixProgress shows on standard error how a matrix goes on. Where several
// kernels are tested at a time, each line says whose it is.
type matrixProgress struct {
	mu       sync.Mutex
	several  bool
	terminal bool // lines may be written over
}

func newMatrixProgress(jobs int) *matrixProgress {
	return &matrixProgress{several: jobs > 1, terminal: jobs == 1 && canOverwrite(os.Stderr)}
}

// watchKernel shows the run of a kernel.
func (p *matrixProgress) watchKernel(release string) matrix.RunWatcher {
	if p.several {
		return report.NewProgress(&kernelLines{p: p, release: release}, false)
	}
	p.writeLine(release)
	return report.NewProgress(os.Stderr, p.terminal)
}

// noteKernel tells what becomes of a kernel apart from its run.
func (p *matrixProgress) noteKernel(release, text string) { p.writeLine(release + ": " + text) }

// writeLine writes one that stays.
func (p *matrixProgress) writeLine(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		report.NewProgress(os.Stderr, true).Say("") // what was to be written over
	}
	report.NewProgress(os.Stderr, false).Say(text)
}

// kernelLines puts a kernel's name before each line.
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
