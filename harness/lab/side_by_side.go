package lab

import (
	"context"
	"fmt"
	"sync"
)

// DoSideBySide calls do with each number below n, in their order, and at most limit
// calls at a time. After an error or a panic it begins no further call, ends the
// context of those that have begun, and waits for them. It returns the first error, and
// panics after the first panic.
func DoSideBySide(ctx context.Context, n, limit int, do func(context.Context, int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var calls sync.WaitGroup
	var panicked error // by one call, before it ends the context
	var once sync.Once
	free := make(chan struct{}, limit)
	for i := range n {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		calls.Go(func() {
			defer func() { <-free }()
			defer func() {
				if p := recover(); p != nil { // only its caller's goroutine can undo what was made
					once.Do(func() { panicked = fmt.Errorf("%v", p) })
					fail(panicked)
				}
			}()
			if err := do(ctx, i); err != nil {
				fail(err)
			}
		})
	}
	calls.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return context.Cause(ctx)
}
