// Goroutines that sleep for a short time again and again beside others that hold a thread.
package main

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Those that tick.
type tickers struct {
	late [][]time.Duration
	done sync.WaitGroup
	// When it is over; nil until it has begun.
	end atomic.Pointer[time.Time]
}

// Each has ticked once when this is done.
func startTickers(count int, period time.Duration) *tickers {
	t := &tickers{late: make([][]time.Duration, count)}
	var ticked sync.WaitGroup
	ticked.Add(count)
	t.done.Add(count)
	for index := range count {
		go func() {
			defer t.done.Done()
			t.late[index] = t.tick(period, ticked.Done)
		}()
	}
	ticked.Wait()
	return t
}

func (t *tickers) tick(period time.Duration, ticked func()) []time.Duration {
	var late []time.Duration
	due := time.Now().Add(period)
	for first := true; ; first = false {
		if end := t.end.Load(); end != nil && !due.Before(*end) {
			return late
		}
		time.Sleep(time.Until(due))
		now := time.Now()
		if t.end.Load() != nil {
			late = append(late, now.Sub(due))
		}
		for !due.After(now) {
			due = due.Add(period)
		}
		if first {
			ticked()
		}
	}
}

// From now on lateness counts, so long.
func (t *tickers) begin(length time.Duration) time.Time {
	end := time.Now().Add(length)
	t.end.Store(&end)
	return end
}

func (t *tickers) answer() (answer, error) {
	t.done.Wait()
	return lateness(slices.Concat(t.late...))
}

func hogs(j job) (answer, error) {
	t := startTickers(1, 10*time.Millisecond)
	end := t.begin(time.Duration(j.size) * time.Millisecond)
	var done sync.WaitGroup
	for range 2 * j.procs {
		done.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	done.Wait()
	return t.answer()
}

// A thread in the kernel, of which Go's scheduler is told by syscall as by every call.
func blocked(j job) (answer, error) {
	t := startTickers(j.procs, time.Millisecond)
	length := time.Duration(j.size) * time.Millisecond
	end := t.begin(length)
	done := make(chan error)
	go func() {
		left := syscall.NsecToTimespec(int64(time.Until(end)))
		for {
			err := syscall.Nanosleep(&left, &left)
			if err != syscall.EINTR {
				done <- err
				return
			}
		}
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return t.answer()
}

// Percentiles in microseconds.
func lateness(late []time.Duration) (answer, error) {
	if len(late) == 0 {
		return nil, errors.New("nobody woke up within the time")
	}
	slices.Sort(late)
	return answer{
		"p50": quantile(late, 0.5),
		"p99": quantile(late, 0.99),
		"max": micros(late[len(late)-1]),
	}, nil
}

// The least value that so many do not exceed.
func quantile(sorted []time.Duration, part float64) float64 {
	index := int(part * float64(len(sorted)))
	if float64(index) == part*float64(len(sorted)) && index > 0 {
		index--
	}
	return micros(sorted[index])
}

func micros(d time.Duration) float64 {
	return float64(d) / float64(time.Microsecond)
}
