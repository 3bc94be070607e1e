// Package matrix runs a scenario on one kernel after the other.
//
// A [KernelTester] boots each kernel in a machine of its own and records the result as a
// row. A kernel that cannot be tested has a row with the reason. A [Cache] holds
// finished rows, so that an interrupted matrix continues with the other kernels.
//
// In the guest the same program calls [RunGuest] with the function that runs a
// scenario.
package matrix
