package regression

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// kernelRange is a range of releases: the releases within all of its bounds.
type kernelRange []kernelBound

type kernelBound struct {
	sign    string
	release release
}

// rangeForm describes the form of a range.
const rangeForm = `bounds like ">=6.12, <6.14" or "=6.18" (which is 6.18 and every 6.18.y)`

var boundForm = regexp.MustCompile(`^(>=|<|=) *(\d{1,6}(?:\.\d{1,6}){1,3}(?:-rc\d{1,4})?)$`)

// parseRange reads bounds with commas between them.
func parseRange(text string) (kernelRange, error) {
	var all kernelRange
	for bound := range strings.SplitSeq(text, ",") {
		match := boundForm.FindStringSubmatch(strings.TrimSpace(bound))
		if match == nil {
			return nil, fmt.Errorf("%.40q is not allowed", bound)
		}
		all = append(all, kernelBound{match[1], parseRelease(match[2])})
	}
	return all, nil
}

// contains reports whether a kernel, by its uname -r, is in the range.
func (k kernelRange) contains(kernel string) bool {
	r := parseRelease(kernel)
	for _, b := range k {
		switch c := r.compare(b.release); {
		case b.sign == ">=" && c < 0, b.sign == "<" && c >= 0, b.sign == "=" && !r.extends(b.release):
			return false
		}
	}
	return len(r.numbers) > 0
}

// release is the part of uname -r that can be compared: 6.12.107 of
// "6.12.107-cloud-amd64". What a distribution appends, such as the number of its
// own build, does not count. A release candidate comes before its release.
type release struct {
	numbers   []int
	candidate int // of -rc; 0 for none
}

var releaseForm = regexp.MustCompile(`^(\d{1,6}(?:\.\d{1,6})*)(?:-rc(\d{1,4}))?`)

// parseRelease returns the release of a kernel. It has no numbers if kernel does not
// begin with one.
func parseRelease(kernel string) (r release) {
	match := releaseForm.FindStringSubmatch(kernel)
	if match == nil {
		return r
	}
	for number := range strings.SplitSeq(match[1], ".") {
		n, _ := strconv.Atoi(number)
		r.numbers = append(r.numbers, n)
	}
	r.candidate, _ = strconv.Atoi(match[2])
	return r
}

// compare orders releases. A missing number counts as 0.
func (r release) compare(other release) int {
	for i := range max(len(r.numbers), len(other.numbers)) {
		if c := cmp.Compare(r.numberAt(i), other.numberAt(i)); c != 0 {
			return c
		}
	}
	return cmp.Compare(r.candidateOrder(), other.candidateOrder())
}

func (r release) numberAt(i int) int {
	if i < len(r.numbers) {
		return r.numbers[i]
	}
	return 0
}

// candidateOrder orders releases with the same numbers: the release itself comes
// after its candidates.
func (r release) candidateOrder() int {
	if r.candidate == 0 {
		return 1 << 20
	}
	return r.candidate
}

// extends reports whether r begins with the numbers of the other release.
func (r release) extends(other release) bool {
	for i, n := range other.numbers {
		if r.numberAt(i) != n {
			return false
		}
	}
	return other.candidate == 0 || other.candidate == r.candidate
}
