// Ask reads metrics and PromQL expressions, and says what each expression asks for and what
// Prometheus would answer.
//
// usage: ask <question.json >answers.json
//
// The question has metrics in the text format, expressions, and the time at which they are
// asked, until which the metrics had these values for eight days. There is one answer for
// each expression. The test of packaging/ runs it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// question is what is read.
type question struct {
	Metrics     string
	Expressions []string
	Time        time.Time
}

// answer is what is written about an expression.
type answer struct {
	Error  string              `json:"error,omitempty"` // Prometheus refuses the expression
	Asked  map[string][]string `json:"asked"`           // the labels that it asks of each metric
	Series []map[string]string `json:"series"`          // the labels of what it returns
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var q question
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return fmt.Errorf("read the question: %w", err)
	}
	night, err := readMetrics(q.Metrics, q.Time)
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	answers := []answer{}
	for _, expression := range q.Expressions {
		var a answer
		if a.Asked, err = findAsked(expression); err == nil {
			a.Series, err = night.evaluate(expression)
		}
		if err != nil {
			a.Error = err.Error()
		}
		answers = append(answers, a)
	}
	return json.NewEncoder(out).Encode(answers)
}
