// Package report draws the records of package result for people. Every report is a
// function from a record to a writer. It prints nothing that the record does not
// hold or that cannot be summed over its trials.
//
// Medians are printed with their 95 % intervals, and comparisons with their p-values;
// package verdict explains both. "~" is a change of latency that chance may explain,
// and "-" a missing figure. Warnings are footnotes.
//
// [WriteText] is for the end of a run on a terminal: the answer is last.
// [WriteMarkdown] is for a pull request or a wiki: the answer is first, and every
// trial is listed. [Progress] shows a run while it lasts.
package report
