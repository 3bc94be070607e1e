package main

import (
	"bytes"
	"os"
	"sync"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/report/layout"
	"snatlab/harness/report/progress"
)

// matrixProgress prints the progress of a matrix on standard error. If several kernels
// are tested at a time, each line begins with its kernel.
type matrixProgress struct {
	mu      sync.Mutex
	one     *progress.Progress // of one kernel after the other; nil if there are several at a time
	what    string             // "kernel", or "node" of a fleet
	kernels int                // of the matrix
	seen    map[string]bool    // kernels that there was news of
}

func newMatrixProgress(jobs, kernels int) *matrixProgress {
	p := &matrixProgress{what: "kernel", kernels: kernels, seen: map[string]bool{}}
	if jobs == 1 {
		p.one = newProgress()
	}
	return p
}

// close erases the line of a terminal.
func (p *matrixProgress) close() {
	if p.one != nil {
		p.one.Close()
	}
}

// watchKernel returns a watcher that prints the run of a kernel.
func (p *matrixProgress) watchKernel(release string) matrix.RunWatcher {
	n := p.count(release)
	if p.one == nil {
		return progress.New(progress.Output{Writer: &kernelLines{p: p, release: release}, Screen: p.screen})
	}
	p.one.Part(p.what, n, p.kernels, release)
	if !canOverwrite(os.Stderr) {
		p.one.Note(release)
	}
	return p.one
}

// count returns the number of a kernel, from 1.
func (p *matrixProgress) count(release string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[release] = true
	return min(len(p.seen), p.kernels)
}

func (p *matrixProgress) screen() layout.Screen { return screenOf(os.Stderr) }

// noteKernel prints other news of a kernel.
func (p *matrixProgress) noteKernel(release, text string) {
	p.count(release)
	p.writeLine(release + ": " + text)
}

// writeLine prints a line that is not overwritten.
func (p *matrixProgress) writeLine(text string) {
	if p.one != nil {
		p.one.Note(text)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	progress.WriteLine(os.Stderr, p.screen(), text)
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
