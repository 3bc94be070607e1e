// Package report draws a result for people and programs. Every report is a
// function from a result to a writer, and says nothing that the result does
// not hold; sums over its trials are all it derives.
//
// Medians stand with their 95 % intervals, and comparisons with their p: what
// these mean is said in package verdict. "~" is a change of latency that chance
// explains, "-" a figure that there is not. Warnings are footnotes.
//
// [WriteText] is for the end of a run on a terminal: the answer stands last.
// [WriteMarkdown] is for a pull request or a wiki: the answer stands first, and
// every trial is in it. [Progress] is what is seen while a run goes on.
package report
