// Goroutines that wait, and what they cost.
package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// How late each wakes up after its deadline.
func sleepers(j job) (answer, error) {
	const spread = 100 * time.Millisecond
	lead := 100*time.Millisecond + time.Duration(j.size)*2*time.Microsecond
	late := make([]time.Duration, j.size)
	var done sync.WaitGroup
	done.Add(j.size)
	first := time.Now().Add(lead)
	for index := range j.size {
		due := first.Add(spread * time.Duration(index) / time.Duration(j.size))
		go func() {
			defer done.Done()
			time.Sleep(time.Until(due))
			late[index] = time.Since(due)
			check(late[index] >= 0, "woken too early")
		}()
	}
	if time.Now().After(first) {
		return nil, errors.New("the first was due before all were spawned")
	}
	done.Wait()
	return lateness(late)
}

// Goroutines that wait until a channel is closed.
type crowd struct {
	gate chan struct{}
	done sync.WaitGroup
}

// Goes on when all are there.
func gather(count int) *crowd {
	crowd := &crowd{gate: make(chan struct{})}
	var there sync.WaitGroup
	there.Add(count)
	crowd.done.Add(count)
	for range count {
		go func() {
			there.Done()
			<-crowd.gate
			crowd.done.Done()
		}()
	}
	there.Wait()
	return crowd
}

func (crowd *crowd) release() {
	close(crowd.gate)
	crowd.done.Wait()
}

func parked(j job) (answer, error) {
	runtime.GC()
	before := memory()
	start := time.Now()
	crowd := gather(j.size)
	spawned := time.Since(start)
	after := memory()
	start = time.Now()
	crowd.release()
	woken := time.Since(start)
	each := float64(j.size)
	return answer{
		"bytes": (after - before) / each,
		"spawn": float64(spawned) / each,
		"wake":  float64(woken) / each,
	}, nil
}

func idle(j job) (answer, error) {
	crowd := gather(j.size)
	before := usage()
	time.Sleep(time.Second)
	after := usage()
	crowd.release()
	cpu := func(of syscall.Rusage) time.Duration {
		return time.Duration(of.Utime.Nano() + of.Stime.Nano())
	}
	switches := func(of syscall.Rusage) int64 { return of.Nvcsw + of.Nivcsw }
	return answer{
		"cpu":      float64(cpu(after)-cpu(before)) / float64(time.Microsecond),
		"switches": float64(switches(after) - switches(before)),
	}, nil
}

func usage() syscall.Rusage {
	var found syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &found); err != nil {
		fail(1, err.Error())
	}
	return found
}

// Resident pages and page tables, in bytes.
func memory() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail(1, err.Error())
	}
	sum := 0
	for _, line := range strings.Split(string(text), "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "VmRSS" || name == "VmPTE" {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			check(err == nil, "the kernel gives no number")
			sum += kib << 10
		}
	}
	return float64(sum)
}

func deepRecursion(j job) (answer, error) {
	debug.SetMaxStack(1 << 32)
	bytes := uintptr(j.size) << 20
	found := make(chan answer)
	go func() {
		start := time.Now()
		depth := descend(0, bytes)
		elapsed := time.Since(start)
		check(depth >= bytes, "not deep enough")
		found <- answer{"ns": float64(elapsed) / (float64(depth) / 4096)}
	}()
	return <-found, nil
}

// A stack moves when it grows, so depth is counted by frames and not by addresses.
//
//go:noinline
func descend(depth, bytes uintptr) uintptr {
	var frame [1024]byte
	touch(&frame, byte(depth))
	if depth >= bytes {
		return depth
	}
	deepest := descend(depth+unsafe.Sizeof(frame), bytes)
	// The frame is in use until here.
	return deepest + uintptr(frame[0]^byte(depth))
}

//go:noinline
func touch(frame *[1024]byte, value byte) {
	frame[0] = value
}
