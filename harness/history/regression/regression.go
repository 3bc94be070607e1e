// Package regression judges runs by earlier ones: [Evaluate] a night by the
// history of its scenario, [CompareGroups] a group of runs by another group.
//
// Each kind of finding is a question. All questions are in one table, questions.go, which
// serves a night and a comparison of groups. The attempts of a night are added up and
// judged as one run, so no attempt is chosen: see [Evaluation].
//
// # The share that remains
//
// [result.RemainingRose] is about the share of the failures that remains under an arm, and
// not about verdicts: a loss that is on the edge of a verdict adds up instead of changing
// the word from night to night. It is a regression of an arm tonight if, for tonight alone
// or for tonight and the nights before it together,
//
//   - there are at least [store.LeastNights] nights before these nights,
//   - the lower end of the share of their sums, by the interval at
//     [result.DecisiveConfidence] that allows for the scatter of trials, is more than 1.11
//     times what the nights before them allow,
//   - at least 10 requests of the arm failed in them,
//   - in more than half of them the night's own share is above what is allowed, tonight's
//     included; tonight's does not lie entirely below the share of the sums; and in more
//     than half of tonight's attempts the attempt's own share is above it,
//   - and there were at least two attempts tonight.
//
// What nights allow is the upper end of the interval of their sums, with the night as the
// unit, and, where at least [store.LeastNights] of them lost 10 requests or more of the
// arm and of its control, at least the upper end of the prediction interval for the mean
// of as many further nights: see allowedShare. So a share that differs from night to night
// may do so.
//
// Of all such windows, the clearest is reported. The nights of a lasting regression are
// therefore no part of the history that it is compared with, and it is reported every
// night until it is repaired or entered as a known failure. Many windows are looked at
// each night. That is paid for by the rule that two intervals at 99.9 % may not even
// touch, where one test at that level would ask for less.
//
// A night whose instrument failed, or in which an arm is not compared with anything, is
// left out. A share that is above what is allowed without being a regression leads to
// another attempt, three in all, and then to a doubt. So does, without an attempt, a share
// that lies entirely above those of fewer nights than it takes.
//
// # Expectations
//
// [result.ExpectationBroken]: an expectation is held, broken, or not decided. One that is
// not decided is no answer. A claim about the race is decided at
// [result.DecisiveConfidence] by the sums over all attempts, so nights are compared: it is
// a regression if it is broken tonight, by at least two attempts, and held in at least
// [store.LeastNights] earlier nights and was broken in none; or if the streak of broken
// nights is no chance, as below. A claim about latency, or about unexplained failures, is
// decided run by run, so runs are compared, and every attempt has to break it.
//
// # Runs and streaks
//
// [result.NewCause]: at least [result.Floor] requests of an arm failed for this cause, in
// every attempt. The race is left out, which the questions above are about, and so is the
// cause that stands for other traffic.
//
// Let M of N runs under a key be bad, the runs of tonight included, and let the
// last K runs all be bad. If the runs were alike, every order of them would be
// equally likely, and the last K would all be bad in
//
//	p = C(M, K) / C(N, K)
//
// of all orders. That is an exact permutation test. A regression requires
// p < [result.RunAlpha], 0.01, and at least two attempts tonight, all of them bad. With n
// good runs before, k attempts reach p = 1 / C(n+k, k): two attempts need 13 earlier runs,
// three attempts need 7. Bad runs that lead up to tonight without a good run between them
// count with tonight's.
//
// Attempts guard against disturbances that are shorter than a night, and against nothing
// else: the runs of one night are more alike than those of different nights.
//
// # Shifts
//
// A [result.Shift] is a change of the baseline's own rate by a fifth or more. It is asked
// about once after a change of the kernel, in the seventh night on the new one: these
// nights are compared with the 20 before them at most, by ranks, two-sided. The rate moves
// with timing and with the state of the machine, so a shift is no regression and raises no
// alert. [result.MachineState] is how often the machine is slow.
//
// # Old results
//
// Results of versions without shares that remain are not compared with those that have
// them. A night leaves them out and reports that its history restarted. [CompareGroups]
// compares two groups of them as they were judged, by verdicts ([result.VerdictFell]) and
// failure rates ([result.FailuresRose]), and says so.
//
// [store.Policy] thins out runs that are older than some days, and keeps those next
// to a change of a verdict, so bad runs are more frequent among old runs than they
// were. That allows more, and errs towards silence.
package regression
