// Package report draws the records of package result for people. Every report is a
// function from a record to a writer. It prints nothing that the record does not
// hold or that cannot be summed over its trials.
//
// Medians are printed with their 95 % intervals, and comparisons with their p-values;
// package verdict explains both. "~" is a change of latency that chance may explain,
// and "-" a missing figure. Warnings are footnotes.
//
// [WriteText] is the first screen at the end of a run: the answer, a row for each arm, and
// the expectations. [WriteFull] has all figures, rules and warnings. [WriteMarkdown] is for
// a pull request or a wiki: every trial is listed.
package report
