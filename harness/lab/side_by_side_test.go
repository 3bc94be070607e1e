package lab

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDoSideBySide(t *testing.T) {
	t.Parallel()
	t.Run("never more than the limit at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var now, most, all atomic.Int32
			begun := time.Now()
			err := DoSideBySide(t.Context(), 10, 4, func(context.Context, int) error {
				all.Add(1)
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				now.Add(-1)
				return nil
			})
			if err != nil || all.Load() != 10 || most.Load() != 4 || time.Since(begun) != 3*time.Second {
				t.Errorf("error %v; %d calls, %d at once, in %v", err, all.Load(), most.Load(), time.Since(begun))
			}
		})
	})
	t.Run("the first error wins, and the others are waited for", func(t *testing.T) {
		broken := errors.New("broken")
		var begun, ended atomic.Int32
		err := DoSideBySide(t.Context(), 10, 4, func(ctx context.Context, i int) error {
			begun.Add(1)
			defer ended.Add(1)
			if i == 2 {
				return broken
			}
			<-ctx.Done()
			return errors.New("another error")
		})
		if !errors.Is(err, broken) || begun.Load() > 4 || ended.Load() != begun.Load() {
			t.Errorf("error %v; %d calls began, %d ended", err, begun.Load(), ended.Load())
		}
	})
	t.Run("an interruption is an error", func(t *testing.T) {
		interrupted := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := DoSideBySide(ctx, 2, 2, func(context.Context, int) error {
			cancel(interrupted)
			return nil
		})
		if !errors.Is(err, interrupted) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a panic comes after the other calls", func(t *testing.T) {
		var ended sync.WaitGroup
		ended.Add(1)
		defer func() {
			if p := recover(); p == nil {
				t.Error("no panic")
			}
			ended.Wait()
		}()
		_ = DoSideBySide(t.Context(), 2, 2, func(ctx context.Context, i int) error {
			if i == 0 {
				panic("broken")
			}
			defer ended.Done()
			<-ctx.Done()
			return nil
		})
	})
}
