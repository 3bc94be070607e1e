// Package matrix runs a scenario on one kernel after the other.
//
// A [Runner] boots each kernel in a machine of its own, and keeps what came of it
// as a row. A kernel that cannot be tested is a row, too, with the reason. A [Cache]
// holds rows that are finished, so that an interrupted matrix goes on where it was.
//
// In the guest the same program calls [RunGuest], which builds no lab itself: it is
// given the function that runs a scenario.
package matrix
