// Goroutines that yield, spawn, and are waited for; a mutex.
package main

import (
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"time"
)

// From the common start until all of them are done.
func race(parties int, party func()) time.Duration {
	gate := make(chan struct{})
	var there, done sync.WaitGroup
	there.Add(parties)
	done.Add(parties)
	for range parties {
		go func() {
			there.Done()
			<-gate
			party()
			done.Done()
		}()
	}
	there.Wait()
	start := time.Now()
	close(gate)
	done.Wait()
	return time.Since(start)
}

// What n operations took, from what so many parties needed for each of theirs.
func share(elapsed time.Duration, n, parties, each int) time.Duration {
	return time.Duration(float64(elapsed) * float64(n) / float64(parties*each))
}

func yields(parties, n int) time.Duration {
	each := (n + parties - 1) / parties
	elapsed := race(parties, func() {
		for range each {
			runtime.Gosched()
		}
	})
	return share(elapsed, n, parties, each)
}

func spawnJoins(n int) time.Duration {
	var done sync.WaitGroup
	start := time.Now()
	for range n {
		done.Add(1)
		go done.Done()
		done.Wait()
	}
	return time.Since(start)
}

func spawnAll(n int) time.Duration {
	var done sync.WaitGroup
	start := time.Now()
	done.Add(n)
	for range n {
		go done.Done()
	}
	done.Wait()
	return time.Since(start)
}

func chain(links int) time.Duration {
	done := make(chan struct{}, 1)
	start := time.Now()
	go link(links, done)
	<-done
	return time.Since(start)
}

func link(left int, done chan<- struct{}) {
	if left <= 1 {
		done <- struct{}{}
		return
	}
	go link(left-1, done)
}

func skynet(j job) (answer, error) {
	if j.size < 1 || !isPowerOfTen(j.size) {
		return nil, fmt.Errorf("%d leaves: must be a power of ten", j.size)
	}
	return once(j.size, func() time.Duration {
		start := time.Now()
		sums := make(chan uint64)
		go branch(0, uint64(j.size), sums)
		sum := <-sums
		elapsed := time.Since(start)
		high, low := bits.Mul64(uint64(j.size), uint64(j.size-1))
		check(high == 0 && sum == low/2, "a wrong sum came")
		return elapsed
	})
}

func isPowerOfTen(n int) bool {
	for n%10 == 0 {
		n /= 10
	}
	return n == 1
}

func branch(first, leaves uint64, above chan<- uint64) {
	if leaves == 1 {
		above <- first
		return
	}
	sums := make(chan uint64)
	part := leaves / 10
	for index := range uint64(10) {
		go branch(first+index*part, part, sums)
	}
	var sum uint64
	for range 10 {
		sum += <-sums
	}
	above <- sum
}

func mutexAlone(n int) time.Duration {
	var lock sync.Mutex
	value := 0
	start := time.Now()
	for range n {
		lock.Lock()
		value++
		lock.Unlock()
	}
	elapsed := time.Since(start)
	check(value == n, "a lock is lost")
	return elapsed
}

func mutexContended(n int) time.Duration {
	const parties = 4
	each := (n + parties - 1) / parties
	var lock sync.Mutex
	value := 0
	elapsed := race(parties, func() {
		for range each {
			lock.Lock()
			value++
			work(10)
			lock.Unlock()
			work(30)
		}
	})
	check(value == parties*each, "a lock is lost")
	return share(elapsed, n, parties, each)
}

// Steps that depend on each other, a nanosecond or two each.
//
//go:noinline
func work(steps uint64) uint64 {
	state := steps
	for range steps {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
	}
	return state
}
