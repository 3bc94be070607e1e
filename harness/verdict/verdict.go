// Package verdict says what the trials of a run show.
package verdict
