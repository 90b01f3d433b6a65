// Goroutines that talk by channels.
package main

import (
	"sync"
	"time"
)

func pingpong(trips int) time.Duration {
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for ball := range there {
			back <- ball
		}
	}()
	trip := func(ball uint64) {
		there <- ball
		check(<-back == ball, "a wrong ball came back")
	}
	// The first one starts the partner.
	trip(0)
	start := time.Now()
	for ball := range uint64(trips) {
		trip(ball)
	}
	elapsed := time.Since(start)
	close(there)
	return elapsed
}

// As pingpong, but the answer comes by one of two channels in turn.
func selectWait(trips int) time.Duration {
	there, odd, even := make(chan uint64), make(chan uint64), make(chan uint64)
	go func() {
		for ball := range there {
			if ball%2 == 0 {
				even <- ball
			} else {
				odd <- ball
			}
		}
	}()
	trip := func(ball uint64) {
		there <- ball
		var came uint64
		select {
		case came = <-odd:
		case came = <-even:
		}
		check(came == ball, "a wrong ball came back")
	}
	trip(0)
	start := time.Now()
	for ball := range uint64(trips) {
		trip(ball)
	}
	elapsed := time.Since(start)
	close(there)
	return elapsed
}

func stream(messages int) time.Duration {
	channel, ready, done := make(chan uint64, 128), make(chan struct{}), make(chan time.Time)
	go func() {
		ready <- struct{}{}
		for expected := range uint64(messages) {
			check(<-channel == expected, "a wrong message came")
		}
		done <- time.Now()
	}()
	<-ready
	start := time.Now()
	for message := range uint64(messages) {
		channel <- message
	}
	return (<-done).Sub(start)
}

func mpmc(messages int) time.Duration {
	const sides = 4
	each := (messages + sides - 1) / sides
	channel := make(chan uint64, 128)
	sums := make(chan uint64, sides)
	gate := make(chan struct{})
	var there, senders sync.WaitGroup
	there.Add(2 * sides)
	senders.Add(sides)
	for range sides {
		go func() {
			there.Done()
			<-gate
			for message := range uint64(each) {
				channel <- message + 1
			}
			senders.Done()
		}()
		go func() {
			there.Done()
			<-gate
			var sum uint64
			for message := range channel {
				sum += message
			}
			sums <- sum
		}()
	}
	there.Wait()
	start := time.Now()
	close(gate)
	senders.Wait()
	close(channel)
	var sum uint64
	for range sides {
		sum += <-sums
	}
	elapsed := time.Since(start)
	check(sum == sides*uint64(each)*uint64(each+1)/2, "a message is lost or came twice")
	return elapsed * time.Duration(messages) / time.Duration(sides*each)
}

func sieve(j job) (answer, error) {
	primes, messages := firstPrimes(j.size)
	return once(messages, func() time.Duration { return sieveOnce(primes) })
}

// The first primes, and the messages that a pipeline needs to find them.
func firstPrimes(count int) ([]uint32, int) {
	primes, messages := make([]uint32, 0, count), 0
	for candidate := uint32(2); len(primes) < count; candidate++ {
		isPrime := true
		for index, prime := range primes {
			if candidate%prime == 0 {
				messages += index + 1
				isPrime = false
				break
			}
		}
		if isPrime {
			messages += len(primes) + 1
			primes = append(primes, candidate)
		}
	}
	return primes, messages
}

func sieveOnce(primes []uint32) time.Duration {
	var stages sync.WaitGroup
	stages.Add(1)
	start := time.Now()
	from := make(chan uint32)
	// Who generates ends with the last prime: a sender is never told that nobody receives.
	go func() {
		defer stages.Done()
		for number := uint32(2); number <= primes[len(primes)-1]; number++ {
			from <- number
		}
		close(from)
	}()
	numbers := from
	for index, expected := range primes {
		prime := <-numbers
		check(prime == expected, "a wrong prime came")
		if index+1 < len(primes) {
			out := make(chan uint32)
			stages.Add(1)
			go filter(prime, numbers, out, &stages)
			numbers = out
		}
	}
	elapsed := time.Since(start)
	stages.Wait()
	return elapsed
}

func filter(prime uint32, in <-chan uint32, out chan<- uint32, stages *sync.WaitGroup) {
	defer stages.Done()
	for number := range in {
		if number%prime != 0 {
			out <- number
		}
	}
	close(out)
}
