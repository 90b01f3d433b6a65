// Servers over loopback TCP.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const messageBytes = 64

func echo(j job) (answer, error) {
	raiseFileLimit()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var start, end time.Time
	begin := make(chan struct{})
	latencies := make([][]time.Duration, j.size)
	var clients sync.WaitGroup
	for index := range j.size {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		server, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		go serveEcho(server)
		clients.Go(func() {
			defer client.Close()
			<-begin
			latencies[index] = trips(client, start, end)
		})
	}
	start = time.Now().Add(j.interval / 4)
	end = start.Add(j.interval)
	close(begin)
	clients.Wait()
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return nil, errors.New("no answer came within the interval")
	}
	slices.Sort(all)
	return answer{
		"ns":   float64(j.interval) / float64(len(all)),
		"p50":  quantile(all, 0.5),
		"p99":  quantile(all, 0.99),
		"p999": quantile(all, 0.999),
	}, nil
}

// Go sets TCP_NODELAY on every connection.
func serveEcho(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, messageBytes)
	for {
		count, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:count]); err != nil {
			return
		}
	}
}

// Round trips that ended between start and end.
func trips(conn net.Conn, start, end time.Time) []time.Duration {
	var found []time.Duration
	message := bytes.Repeat([]byte{'x'}, messageBytes)
	back := make([]byte, messageBytes)
	sent := time.Now()
	for {
		if _, err := conn.Write(message); err != nil {
			fail(1, err.Error())
		}
		if _, err := io.ReadFull(conn, back); err != nil {
			fail(1, err.Error())
		}
		now := time.Now()
		check(bytes.Equal(message, back), "a wrong answer came")
		if now.After(end) {
			return found
		}
		if now.After(start) {
			found = append(found, now.Sub(sent))
		}
		sent = now
	}
}

func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		// Without it fewer connections can be had, and that is said then.
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

const response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" +
	"Hello, world!"

// Serves until standard input is closed.
func serveHTTP(job) (answer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		go serveRequests(conn)
	}
}

// Reads lines until an empty one ends a request, whatever the pieces are in which they come.
func serveRequests(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		for {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			if string(line) == "\r\n" {
				break
			}
		}
		if _, err := io.WriteString(conn, response); err != nil {
			return
		}
	}
}
