// Package report draws a result for people.
package report
