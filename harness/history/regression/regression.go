// Package regression judges runs by earlier ones: [Evaluate] a night by the
// history of its scenario, [CompareGroups] a group of runs by another group.
//
// # What a regression is
//
// Each kind of regression is a question that a run answers with good or bad, for
// example whether an arm is less than mitigated. All questions are in one table,
// questions.go, which serves a night and a comparison of groups.
//
// Let M of N runs under a key be bad, the runs of tonight included, and let the
// last K runs all be bad. If the runs were alike, every order of them would be
// equally likely, and the last K would all be bad in
//
//	p = C(M, K) / C(N, K)
//
// of all orders. That is an exact permutation test. Its unit is the run, and it
// assumes no distribution. A regression requires p < [result.Alpha], 0.01, and at
// least two attempts tonight, all of them bad.
//
// Attempts guard against disturbances that are shorter than a night, and against
// nothing else: they count as runs like any others, and the runs of one night are
// more alike than those of different nights. A disturbance that lasts the whole
// night raises an alarm.
//
// Bad runs that lead up to tonight without a good run between them count with
// tonight's. So a regression is reported every night until it is repaired or
// entered as a known failure. One good attempt ends that: from then on, the bad
// runs before it are what this machine does now and then, and later nights are
// compared with a history that contains them. So a failure that occurs in most
// runs, but not in all, is reported at first and then less and less.
//
// The questions, and what a bad answer is:
//
//   - [result.VerdictFell]: the arm is less than mitigated.
//   - [result.FailuresRose]: an arm that was mitigated in most earlier runs has at
//     least [result.Floor] failures, and more than twice the lower quartile of
//     the rates of all N runs. Tonight's rates are included, because p is exact
//     only if the definition of bad does not depend on the order of the runs.
//     Mitigated arms have 0, 1 or 2 failures in 48,000 requests, since two random
//     draws can meet: the quartile is close to 0, and the floor decides. A lasting
//     rise is reported for as long as a quarter of the kept runs are without it.
//   - [result.NewCause]: at least Floor requests of an arm failed for this cause.
//     The race is left out, since the two questions above are about it, and so is
//     the cause that stands for other traffic.
//   - [result.ExpectationBroken]: the expectation does not hold.
//
// With n good runs before, k attempts reach p = 1 / C(n+k, k): two attempts need 13
// earlier runs, three attempts need 7. A verdict or an expectation that was good in
// every earlier run needs no small p: one such run is enough. For the other kinds,
// a shorter history can only raise doubts; see [Evaluation].
//
// By design at most 1 night in 100 raises an alarm by chance: for each arm and
// kind, and for causes for each arm and cause. That bound is for arms that are on
// the edge of bad in many runs. An arm that is bad in 1 run of 20 by chance needs
// two or three such runs in a row: 1 night in 500 or fewer. An arm that is never
// bad raises no alarm. Verdicts and expectations that need no small p are outside
// of that bound: by chance, two attempts can be bad before any run was, in one
// streak under a key.
//
// [store.Policy] thins out runs that are older than some days, and keeps those next
// to a change of a verdict, so bad runs are more frequent among old runs than they
// were. That makes p larger, and errs towards silence.
//
// A [result.Shift] is a change of the baseline's own rate by a fifth or more. The
// last runs, at most 7, since the last change of the kernel are compared with the
// 20 before them, by ranks, two-sided, p < Alpha. The rate moves with timing, so a
// shift is no regression.
package regression
